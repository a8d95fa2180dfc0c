"""The stages in order, and the rows that enter them."""

from __future__ import annotations

from sena import ids
from sena.records import Image, Row
from sena.stages.answer import Answer
from sena.stages.base import Context, Stage, check_columns
from sena.stages.check import Check
from sena.stages.config import StagesConfig
from sena.stages.enhance import Enhance
from sena.stages.given import Given
from sena.stages.question import Question
from sena.stages.reject import Reject
from sena.stages.support import Rank, Sample, Support


def make_stages(config: StagesConfig) -> list[Stage]:
    """question -> check -> answer -> enhance -> reject, their columns checked.

    Given questions take the place of question and check, samples that of what comes behind the plain answers;
    `support` is measured where something asks for it.
    """
    stages: list[Stage] = [Question(config.question) if config.question.given is None else Given()]
    if config.check.enabled and config.question.given is None:
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


def first_rows(image: Image, config: StagesConfig, context: Context) -> list[Row]:
    """The rows of a picture before anything is asked: one for each question. One without a given question has one row
    too, which then ends with its reason."""
    given = config.question.given is not None
    count = max(1, len(context.given.get(image.id, ()))) if given else config.question.questions_per_image
    return [Row(ids.child(image.id, "row", number), image.id, number) for number in range(count)]
