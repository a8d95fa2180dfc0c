"""The recipe's `run` section."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sena.config import Config


class RunConfig(Config):
    """How long the run is, and what it is drawn from."""

    seed: int = Field(default=0, ge=0)
    """Everything drawn at random comes from this number."""
    rounds: int = Field(default=3, ge=1)
    """How often the loop is gone through, each time from the model that the last round left."""
    images_per_round: int = Field(default=6000, ge=1)
    """Fresh images a round."""
    trackers: tuple[Literal["tensorboard", "wandb", "trackio", "mlflow"], ...] = ()
    """Where numbers go beside metrics.jsonl and TensorBoard, which are always written. Their packages are not installed
    with sena."""
