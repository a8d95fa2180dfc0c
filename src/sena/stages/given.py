"""Questions that people wrote, in place of self-questioning: nothing is asked of the model, and nothing checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sena.records import Again, Drop, Reply, Request, Row
from sena.stages.base import Context


@dataclass(frozen=True, slots=True)
class Given:
    """The row's question is the one that the context holds for its picture and number."""

    name: str = "given"
    reads: tuple[str, ...] = ("id", "image_id", "number")
    writes: tuple[str, ...] = ("question", "asked")

    def ask(self, row: Row, context: Context) -> Sequence[Request]:
        return []

    def take(self, row: Row, replies: Sequence[Reply], context: Context) -> Sequence[Row] | Drop | Again:
        questions = context.given.get(row.image_id, ())
        if row.number >= len(questions):
            return Drop("no given question")
        question = questions[row.number]
        return [replace(row, question=question, asked=(question,))]
