"""What a benchmark is, and how one is run: the same ask-and-take shape as a stage, so it is tested without a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import Field

from sena.config import Config
from sena.engines.base import Engine
from sena.records import Reply, Request
from sena.stats import Figure

if TYPE_CHECKING:
    from PIL import Image


CHUNK = 64  # items whose questions go to the engine together; part of the batch plan


class Benchmark(Protocol):
    """Items are asked about one by one; records are plain and JSON-able through `to_json` and `from_json`."""

    @property
    def name(self) -> str: ...

    def items(self, pool: str, count: int | None) -> Sequence[Any]:
        """The first `count` pictures with what is asked about them, or as many as usual. Most have one pool only."""
        ...

    def ask(self, item: Any) -> Sequence[Request]: ...

    def take(self, item: Any, replies: Sequence[Reply]) -> Any: ...

    def summarise(self, records: Sequence[Any]) -> dict[str, Figure]: ...

    def compare(self, before: Sequence[Any], after: Sequence[Any]) -> dict[str, Figure]: ...

    def to_json(self, record: Any) -> dict[str, Any]: ...

    def from_json(self, data: dict[str, Any]) -> Any: ...

    def open_image(self, image_id: str, /) -> Image.Image: ...

    def blind_twin(self) -> Benchmark | None:
        """The same questions without any picture: what a score is worth is seen beside it. None where that is moot."""
        ...


class EvalConfig(Config):
    """What is measured after every round, where truth is known."""

    benchmarks: tuple[str, ...] = ()
    """Benchmarks by name; empty for runs on images without truth."""
    pool: str = "evaluation"
    """Which pool a benchmark takes its pictures from: `evaluation`, or `tuning` for looking for settings."""
    count: int = 500
    """Pictures a benchmark looks at."""
    blind: bool = True
    """Also ask without the pictures, where a benchmark can: what is right there too says nothing about seeing."""
    data: str = ""
    """Folder with the files of benchmarks that need any; `sena bench ls` says which, and where they come from."""
    watch: int = Field(default=64, ge=0)
    """Pictures that are set aside, never learned from, to watch every round's model on without labels; 0 for none.
    Where there are few to spare, none are taken."""
    on_regression: Literal["continue", "stop", "rollback"] = "continue"
    """After a round that gives alarm: go on, stop, or begin the next round from the last model that gave none."""


def run_benchmark(
    benchmark: Benchmark,
    engine: Engine,
    items: Sequence[Any],
    chunk: int = CHUNK,
    on_done: Callable[[int], None] = lambda count: None,
) -> list[Any]:
    """One record an item, in their order. `on_done` hears how many items each chunk finished."""
    records: list[Any] = []
    for start in range(0, len(items), chunk):
        part = items[start : start + chunk]
        asked = [list(benchmark.ask(item)) for item in part]
        replies = iter(engine.generate([request for each in asked for request in each], benchmark.open_image))
        for item, requests in zip(part, asked, strict=True):
            records.append(benchmark.take(item, [next(replies) for _ in requests]))
        on_done(len(part))
    return records
