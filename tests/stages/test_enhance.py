"""Bettering an answer with the description."""

from __future__ import annotations

from typing import Any

import pytest

from sena.records import Row
from sena.stages.answer import describe_request
from sena.stages.config import EnhanceConfig
from sena.stages.enhance import Enhance
from tests.stages.make import CONTEXT, DESCRIBE, ENHANCE, HOSTILE, replies

ROW = Row(
    "r",
    "i",
    question="What?",
    describe_prompt="D short.",
    answer_prompt="What? briefly.",
    description="A red car.",
    answer="car",
)


def stage(**changes: Any) -> Enhance:
    return Enhance(EnhanceConfig(**{**ENHANCE.model_dump(), **changes}), DESCRIBE)


def took(stage: Enhance, *texts: str, row: Row = ROW, finished: bool = True) -> Row:
    taken = stage.take(row, replies(*texts, finished=finished), CONTEXT)
    assert isinstance(taken, list)
    return taken[0]


def test_the_prompt_holds_description_question_and_answer_on_the_clean_picture() -> None:
    (request,) = stage().ask(ROW, CONTEXT)
    assert (request.id, request.prompt) == ("r/enhance/0/answer", "[A red car.] [What?] [car]")
    assert (request.image, request.corruption) == ("i", None)


@pytest.mark.parametrize("text", HOSTILE)
def test_model_text_goes_into_the_prompt_as_it_is(text: str) -> None:
    """`{question}` in an answer stays, as does `{answer}` in a description: one pass, nothing scanned again."""
    (request,) = stage().ask(Row("r", "i", question=text, description=text, answer=text), CONTEXT)
    assert request.prompt == f"[{text}] [{text}] [{text}]"


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("Improved answer: a red car", "a red car"),
        ("improved answer : a red car .", "a red car ."),
        ("**Improved Answer:**\na red car", "a red car"),
        ("a red car", "car"),
        ("Improved answer:", "car"),
        ("", "car"),
        ("Improved answer: {question}", "{question}"),
        ("Improved answer: 红色的车", "红色的车"),
    ],
)
def test_the_better_answer_is_read_or_the_plain_one_kept(reply: str, answer: str) -> None:
    row = took(stage(), reply)
    assert (row.enhanced_answer, row.enhanced_description) == (answer, "A red car.")
    assert (row.answer, row.description, row.cut) == ("car", "A red car.", ())


def test_a_chosen_answer_is_cut_when_the_text_that_it_was_read_from_is() -> None:
    """The plain answer is cut but the better one is whole, and the other way round, and without a better one."""
    cut = Row("r", "i", answer="a car on", description="A car", cut=("answer",))
    assert took(stage(), "Improved answer: a car", row=cut).cut == ("answer",)
    assert took(stage(), "Improved answer: a car and", finished=False).cut == ("enhanced_answer",)
    assert took(stage(), "no label", row=cut).cut == ("answer", "enhanced_answer")
    assert took(stage(), "no label", finished=False).cut == ()
    described = Row("r", "i", answer="car", description="A car and", cut=("description",))
    assert took(stage(), "Improved answer: a", row=described).cut == ("description", "enhanced_description")


def test_the_suffix_in_the_prompt_as_released() -> None:
    assert stage(with_suffix=True).ask(ROW, CONTEXT)[0].prompt == "[A red car.] [What? briefly.] [car]"


def test_enhanced_descriptions_as_released() -> None:
    """Both requests; the description stands in as description and as answer."""
    answer, description = stage(descriptions=True).ask(ROW, CONTEXT)
    assert answer.prompt == "[A red car.] [What?] [car]"
    assert description.prompt == f"[A red car.] [{describe_request(ROW, CONTEXT, DESCRIBE)}] [A red car.]"
    suffixed = stage(descriptions=True, with_suffix=True)
    assert suffixed.ask(ROW, CONTEXT)[1].prompt == "[A red car.] [D short.] [A red car.]"
    row = took(suffixed, "Improved answer: a red car", "Improved answer: A red car on a road.")
    assert (row.enhanced_answer, row.enhanced_description) == ("a red car", "A red car on a road.")


@pytest.mark.parametrize(
    ("description", "prompt"),
    [("Yes", "<What?|car>"), ("yes", "<What?|car>"), ("Yes.", "[Yes.] [What?] [car]"), ("No", "[No] [What?] [car]")],
)
def test_the_yes_prompt_as_released(description: str, prompt: str) -> None:
    """It hangs on the description being exactly Yes or yes."""
    row = Row("r", "i", question="What?", description=description, answer="car")
    assert stage(yes_prompt="<{question}|{answer}>").ask(row, CONTEXT)[0].prompt == prompt
    assert stage().ask(row, CONTEXT)[0].prompt == f"[{description}] [What?] [car]"


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("Improved answer: red", "red"),
        ("Improved answer:\nred", "Improved answer:\nred"),  # the label leaks
        ("improved answer: red", "car"),
        ("Sure. Improved answer: red", "car"),
    ],
)
def test_labels_as_released(reply: str, answer: str) -> None:
    assert took(stage(labels="exact"), reply).enhanced_answer == answer
