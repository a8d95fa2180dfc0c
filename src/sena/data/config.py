"""The recipe's `compute` section: who makes the pairs of which shard. It decides how fast, never what comes out."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sena.config import Config


class RayConfig(Config):
    """Where Ray is, and what a worker takes of it."""

    address: str | None = None
    """A running cluster, as `ray start` prints it or `auto` for the one of this machine; null starts one here and ends
    it afterwards."""
    num_cpus: float | None = Field(default=None, gt=0)
    """Processors that a worker takes; null is the run's thread count."""
    num_gpus: float | None = Field(default=None, ge=0)
    """GPUs that a worker takes; null is one where the cluster has any. Say 1 for a cluster that begins without."""


class ComputeConfig(Config):
    """Who works the shards of the data half off. May be changed from start to start of the same run."""

    kind: Literal["inline", "processes", "ray"] = "inline"
    """`inline` is this process; `processes` are workers on this machine, one a GPU; `ray` are workers on a cluster
    (`pip install sena[ray]`). See docs/scaling.md."""
    workers: int = Field(default=0, ge=0)
    """Most workers at a time. 0 takes one a GPU, or without GPUs as many as there are processors for, each with the
    run's threads."""
    retries: int = Field(default=2, ge=0)
    """How often a shard whose worker died is tried again, each time by a fresh worker."""
    timeout_minutes: float = Field(default=120, gt=0)
    """A worker that loads, or works on one shard, for longer than this is taken for hung and ended."""
    allow_failed_shards: bool = False
    """Goes on to training without the images of shards that failed after all retries; else the run stops there."""
    ray: RayConfig = Field(default_factory=RayConfig)
    """For `kind: ray`."""
