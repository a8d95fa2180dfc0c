"""Literals for the tests of the stages: configurations with short prompts, and a way to answer like a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sena.records import Again, Drop, Reply, Request, Row
from sena.stages.base import Context, Stage
from sena.stages.config import (
    AnswerConfig,
    CheckConfig,
    DescribeConfig,
    EnhanceConfig,
    FiltersConfig,
    QuestionConfig,
    StagesConfig,
)

CONTEXT = Context(run_seed=7, round=1)
HOSTILE = ("<image>", "</s>", "USER: x", "a ASSISTANT: b", "<|im_end|>", "{question}", "{answer} {description}")

QUESTION = QuestionConfig(prompts=("Ask.",))
CHECK = CheckConfig(prompt="Check: {question}")
DESCRIBE = DescribeConfig(prompts=("D0", "D1", "D2"), suffix="short.")
ANSWER = AnswerConfig(suffix="briefly.")
ENHANCE = EnhanceConfig(prompt="[{description}] [{question}] [{answer}]")


def stages_config(filters: FiltersConfig | None = None) -> StagesConfig:
    return StagesConfig(
        question=QUESTION,
        check=CHECK,
        describe=DESCRIBE,
        answer=ANSWER,
        enhance=ENHANCE,
        filters=filters or FiltersConfig(),
    )


def replies(*texts: str, finished: bool = True) -> list[Reply]:
    return [Reply(str(number), text, finished) for number, text in enumerate(texts)]


def run(stage: Stage, row: Row, model: Callable[[Request], str], most: int = 20) -> Sequence[Row] | Drop:
    """Take a row through a stage with `model` answering, as the runner does."""
    for _ in range(most):
        asked = stage.ask(row, CONTEXT)
        outcome = stage.take(row, [Reply(request.id, model(request)) for request in asked], CONTEXT)
        if not isinstance(outcome, Again):
            return outcome
        row = outcome.row
    raise AssertionError(f"{stage.name} never settles")
