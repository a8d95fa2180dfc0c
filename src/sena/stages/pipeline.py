"""The stages in order, and the rows that enter them."""

from __future__ import annotations

from sena import ids
from sena.records import Image, Row
from sena.stages.answer import Answer
from sena.stages.base import Stage, check_columns
from sena.stages.check import Check
from sena.stages.config import StagesConfig
from sena.stages.enhance import Enhance
from sena.stages.question import Question
from sena.stages.reject import Reject
from sena.stages.support import Rank, Sample, Support


def make_stages(config: StagesConfig) -> list[Stage]:
    """question -> check -> answer -> enhance -> reject, their columns checked.

    Samples take the place of what comes behind the plain answers; `support` is measured where something asks for it.
    """
    stages: list[Stage] = [Question(config.question)]
    if config.check.enabled:
        stages.append(Check(config.check, stride=config.question.questions_per_image))
    stages.append(Answer(config.describe, config.answer))
    if config.samples.count:
        stages.append(Sample(config.describe, config.answer, config.samples))
        stages.append(Rank(config.corruption, config.samples))
    else:
        stages.append(Enhance(config.enhance, config.describe))
    if not config.samples.count or config.samples.rejected == "spoiled":
        stages.append(Reject(config.describe, config.answer, config.corruption))
    if config.needs_scores and not config.samples.count:
        stages.append(Support(config.corruption))
    check_columns(stages)
    return stages


def first_rows(image: Image, config: StagesConfig) -> list[Row]:
    """The rows of a picture before anything is asked: one for each question."""
    count = config.question.questions_per_image
    return [Row(ids.child(image.id, "row", number), image.id, number) for number in range(count)]
