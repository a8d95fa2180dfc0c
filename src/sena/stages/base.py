"""What a stage is: two pure functions around an engine, and the columns that it reads and writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

from sena.errors import SenaError
from sena.records import Again, Drop, Request, Row


@dataclass(frozen=True, slots=True)
class Context:
    """What a stage may know besides its row: enough to derive seeds, nothing about shards or workers."""

    run_seed: int
    round: int
    images: Sequence[str] = ()
    """The ids of all the round's images, sorted, for a corruption that shows another one."""
    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Questions that people wrote, by image id, for recipes that take them instead of the model's own."""


class Stage(Protocol):
    """`ask` says what to ask the model about a row, `take` what its replies make of the row.

    Both get the context, since what is drawn by chance (which describe prompt) must be the same in both.
    Requests of one `ask` either all bring an answer, and are scored, or none does. `take` gets the replies (scores) in
    the order of the requests, and returns the rows that go on (usually one), a Drop,
    or Again (the row goes through `ask` once more; a stage bounds this by itself, through what it wrote in the row).
    """

    @property
    def name(self) -> str: ...

    @property
    def reads(self) -> tuple[str, ...]: ...

    @property
    def writes(self) -> tuple[str, ...]: ...

    def ask(self, row: Row, context: Context) -> Sequence[Request]: ...

    def take(self, row: Row, replies: Sequence[Any], context: Context) -> Sequence[Row] | Drop | Again: ...


def check_columns(stages: Sequence[Stage], given: Sequence[str] = ("id", "image_id", "number")) -> None:
    """Every column a stage reads was written by an earlier one. Raises SenaError naming stage and column."""
    known = {column.name for column in fields(Row)}
    written = set(given)
    for stage in stages:
        for column in (*stage.reads, *stage.writes):
            if column not in known:
                raise SenaError(f"stage {stage.name!r} names a column {column!r} that no row has")
        for column in stage.reads:
            if column not in written:
                raise SenaError(f"stage {stage.name!r} reads {column!r}, which no stage before it writes")
        written.update(stage.writes)
