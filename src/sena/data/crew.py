"""What the pool knows of workers, whether they are processes or Ray's actors, and the side that runs in the worker.

Only small plain values travel: an order (JSON) when a worker starts, a task a shard, numbers back. Pictures, models and
tables never do: a worker reads and writes them itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from sena.errors import SenaError

Order = dict[str, Any]
"""All that a worker needs to know to make itself ready, as JSON."""


@dataclass(frozen=True, slots=True)
class Task:
    """A shard to make. `left_out` images are dropped from it; `only` is a trial of these images that leaves nothing."""

    shard: int
    left_out: tuple[str, ...] = ()
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """`started` on a node (its name), `ready` for tasks, `done` with figures; `mistake` is a sentence for the user, and
    `died` says how the worker ended."""

    kind: Literal["started", "ready", "done", "mistake", "died"]
    value: Any = None


class Worker(Protocol):
    """Makes pairs, with a model loaded once."""

    def run(self, task: Task) -> dict[str, Any]:
        """Make the shard, its manifest last. Returns figures, as JSON."""
        ...


Make = Callable[[Order], Worker]
"""A function of a module, since it travels by its name."""


class Hand(Protocol):
    """A worker as the pool sees it."""

    def prepare(self) -> None:
        """Ask it, once it has started, to make itself ready."""
        ...

    def ask(self, task: Task) -> None: ...

    def dismiss(self) -> None:
        """End it at once, whatever it does."""
        ...


class Crew(Protocol):
    """Where workers come from."""

    size: int
    """Most workers at a time."""

    def hire(self) -> Hand: ...

    def wait(self, hands: Collection[Any], seconds: float) -> list[tuple[Hand, Answer]]:
        """What some of `hands` have answered, at the latest after `seconds`, and then perhaps nothing."""
        ...


OpenCrew = AbstractContextManager[Crew]
"""At its end no worker is left."""


class Served:
    """The side in the worker. What is not the user's mistake is raised, and ends the worker."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def prepare(self, make: Make, order: Order) -> dict[str, Any]:
        try:
            self._worker = make(order)
        except SenaError as error:
            return asdict(Answer("mistake", str(error)))
        return asdict(Answer("ready"))

    def run(self, task: dict[str, Any]) -> dict[str, Any]:
        assert self._worker is not None
        read = Task(task["shard"], tuple(task["left_out"]), tuple(task["only"]))
        try:
            return asdict(Answer("done", self._worker.run(read)))
        except SenaError as error:
            return asdict(Answer("mistake", str(error)))
