"""Workers as actors of Ray, on this machine or on a cluster that may grow and shrink meanwhile.

Actors are asked for up to the crew's size; those that the cluster has room for work, and the others are what makes an
autoscaler add nodes. Ray places and ends them, and nothing else: retries and time-outs are the pool's.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from typing import Any

from sena.data.config import ComputeConfig
from sena.data.crew import Answer, Hand, Make, Order, Served, Task
from sena.errors import SenaError

STORE_BYTES = 100_000_000
"""Shared memory of a Ray that we start: only small numbers travel, and its own default takes a third of the memory."""
REACHED_SECONDS = 10


@dataclass(eq=False, slots=True)
class Actor:
    """A worker as an actor. At any time at most one answer of it is awaited."""

    crew: Actors
    remote: Any
    waits: Any
    asked: str = "started"

    def prepare(self) -> None:
        self.asked, self.waits = "prepare", self.remote.prepare.remote(self.crew.make, self.crew.order)

    def ask(self, task: Task) -> None:
        self.asked, self.waits = "run", self.remote.run.remote(asdict(task))

    def dismiss(self) -> None:
        self.waits = None
        self.crew.ray.kill(self.remote)

    def heard(self) -> Answer:
        """The answer that was awaited, which has come."""
        from ray.exceptions import RayError, RayTaskError

        waits, self.waits = self.waits, None
        try:
            value = self.crew.ray.get(waits)
        except RayTaskError as error:
            self.dismiss()
            why = next(iter(str(error.cause).strip().splitlines()), "")  # Ray appends its own tracebacks
            return Answer("died", f"failed with {type(error.cause).__name__}: {why}")
        except RayError as error:  # its process or its node is gone, or cannot be reached
            self.dismiss()
            return Answer("died", f"was lost ({type(error).__name__})")
        return Answer("started", value) if self.asked == "started" else Answer(**value)


@dataclass(slots=True)
class Actors:
    """Asks Ray for workers."""

    ray: Any
    size: int
    make: Make
    order: Order
    needs: dict[str, float]
    _remote: Any = field(init=False)

    def __post_init__(self) -> None:
        self._remote = self.ray.remote(**self.needs, max_restarts=0, max_task_retries=0)(Node)

    def hire(self) -> Actor:
        remote = self._remote.remote()
        return Actor(self, remote, remote.name.remote())

    def wait(self, hands: Collection[Any], seconds: float) -> list[tuple[Hand, Answer]]:
        """The next answer, or nothing within `seconds`."""
        awaited = {hand.waits: hand for hand in hands if hand.waits is not None}
        come, _ = self.ray.wait(list(awaited), timeout=seconds)
        return [(awaited[each], awaited[each].heard()) for each in come]


class Node(Served):
    """What runs in the actor."""

    def name(self) -> str:
        """Comes back as soon as a node has taken the actor up."""
        return socket.gethostname()


def demand_ray(setting: str = "compute.kind") -> None:
    """Raises SenaError, naming the setting that wants Ray, when it is not installed."""
    if find_spec("ray") is None:
        raise SenaError(f"{setting}: ray needs Ray: pip install sena[ray]")


@contextlib.contextmanager
def cluster(address: str | None, processors: int) -> Iterator[Any]:
    """The module `ray`, joined to the cluster at `address`, or to one of this machine alone with room for that many
    `processors`. A Ray that runs in this program already is used and left running; one that is started here ends here.

    Raises SenaError when the cluster cannot be reached.
    """
    _keep_to_itself(address)
    import ray

    was_there = ray.is_initialized()
    if not was_there:
        _init(ray, address, processors)
    try:
        yield ray
    finally:
        if not was_there:
            ray.shutdown()


@contextlib.contextmanager
def actors(config: ComputeConfig, make: Make, order: Order, threads: int, on_gpu: bool) -> Iterator[Actors]:
    """A crew of actors with `threads` processors each, or what `config.ray` says. `on_gpu` wants a GPU where there are
    any. Raises SenaError as `cluster` does, and where Ray is not installed."""
    demand_ray()
    cpus = config.ray.num_cpus or threads
    with cluster(config.ray.address, math.ceil(config.workers * cpus)) as ray:
        has = ray.cluster_resources()
        gpus = config.ray.num_gpus if config.ray.num_gpus is not None else float(on_gpu and has.get("GPU", 0) > 0)
        room = has.get("GPU", 0) / gpus if gpus else has.get("CPU", 0) / cpus
        yield Actors(ray, config.workers or max(1, int(room)), make, order, {"num_cpus": cpus, "num_gpus": gpus})


def _keep_to_itself(address: str | None) -> None:
    """What Ray reads as it is imported: no reports to its makers, and one of our own listens on loopback alone, by the
    switch that is named after the systems where this is its default."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")


def _init(ray: Any, address: str | None, processors: int) -> None:
    """Join the cluster, or start one of this machine alone, without a dashboard; both quietly."""
    quiet: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if address is None:
        room, store = max(os.cpu_count() or 1, processors), {"object_store_memory": STORE_BYTES}
        ray.init("local", num_cpus=room, include_dashboard=False, **store, **quiet)
        return
    try:
        _demand_reached(address)
        ray.init(address, **quiet)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SenaError(f"No Ray cluster was reached at {address} (compute.ray.address): {why}") from error


def _demand_reached(address: str) -> None:
    """Raises OSError when nobody listens at `host:port`, for which Ray itself takes many minutes."""
    host, colon, port = address.rpartition("/")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACHED_SECONDS).close()
