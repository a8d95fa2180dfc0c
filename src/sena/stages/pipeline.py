"""The stages in order, the rows that enter them, and the judgement on the pairs that leave them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sena import ids
from sena.records import Drop, Image, Pair, Row
from sena.stages.answer import Answer
from sena.stages.base import Context, Stage, check_columns
from sena.stages.check import Check
from sena.stages.config import StagesConfig
from sena.stages.enhance import Enhance
from sena.stages.filters import Case, finished, reason_against
from sena.stages.pair import is_cut, pairs_of
from sena.stages.question import Question
from sena.stages.reject import Reject


@dataclass(frozen=True, slots=True)
class Judged:
    """A pair, and why it is not learned from (`drop` is None for a pair that is kept)."""

    pair: Pair
    drop: Drop | None = None


def make_stages(config: StagesConfig) -> list[Stage]:
    """question -> check -> answer -> enhance -> reject, their columns checked."""
    stages: list[Stage] = [
        Question(config.question),
        Check(config.check, stride=config.question.questions_per_image),
        Answer(config.describe, config.answer),
        Enhance(config.enhance, config.describe),
        Reject(config.describe, config.answer, config.corruption),
    ]
    check_columns(stages)
    return stages


def first_rows(image: Image, config: StagesConfig) -> list[Row]:
    """The rows of a picture before anything is asked: one for each question."""
    count = config.question.questions_per_image
    return [Row(ids.child(image.id, "row", number), image.id, number) for number in range(count)]


def judge_image(rows: Sequence[Row], context: Context, config: StagesConfig) -> Iterator[Judged]:
    """All pairs of one picture's finished rows, in the rows' own order, each kept or dropped with its reason.

    They are judged together because two rows of a picture may come to the same pair.
    """
    kept: list[Pair] = []
    for row in sorted(rows, key=lambda row: row.number):
        for pair in pairs_of(row, context, config.corruption):
            reason = reason_against(Case(pair, config.filters, is_cut(row, pair.kind), tuple(kept)))
            if reason:
                yield Judged(pair, Drop(reason))
            else:
                kept.append(pair)
                yield Judged(finished(pair, config.filters))
