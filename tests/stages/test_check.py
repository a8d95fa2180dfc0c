"""Checking a question until it stands, and not for ever."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from sena import ids
from sena.records import Again, Drop, Request, Row
from sena.stages.check import Check
from sena.stages.config import CheckConfig
from tests.stages.make import CHECK, CONTEXT, HOSTILE, replies, run

ROW = Row(id="r", image_id="i", question="What is it?", asked=("What is it?",))


def with_changes(**changes: Any) -> CheckConfig:
    return CheckConfig(**{**CHECK.model_dump(), **changes})


def test_the_check_sees_picture_and_question() -> None:
    (request,) = Check(CHECK).ask(ROW, CONTEXT)
    assert (request.id, request.prompt, request.image) == ("r/check/0/question", "Check: What is it?", "i")


def test_blind_as_released() -> None:
    (request,) = Check(with_changes(blind=True)).ask(ROW, CONTEXT)
    assert request.image is None


@pytest.mark.parametrize("text", HOSTILE)
def test_model_text_goes_into_the_prompt_as_it_is(text: str) -> None:
    (request,) = Check(CHECK).ask(Row("r", "i", question=text, asked=(text,)), CONTEXT)
    assert request.prompt == f"Check: {text}"


@pytest.mark.parametrize(
    "reply",
    [
        "What is it?",
        "what is it ?",
        "QUESTION: What is it?",
        "Yes. Question:\n\nWhat  is it?",
        "**QUESTION:** What is it?",
        '"What is it?"',
        "Question： What is it？",
    ],
)
def test_the_question_unchanged_is_accepted(reply: str) -> None:
    assert Check(CHECK).take(ROW, replies(reply), CONTEXT) == [ROW]


def test_another_question_is_checked_in_its_turn() -> None:
    taken = Check(CHECK).take(ROW, replies("QUESTION: Where is it?"), CONTEXT)
    again = Row("r", "i", question="Where is it?", asked=("What is it?", "Where is it?"))
    assert taken == Again(again)
    (request,) = Check(CHECK).ask(again, CONTEXT)
    assert (request.id, request.prompt) == ("r/check/1/question", "Check: Where is it?")
    assert request.seed != Check(CHECK).ask(ROW, CONTEXT)[0].seed


def endless(request: Request, numbers: itertools.count[int]) -> str:
    return f"Question: Is it {next(numbers)}?"


@pytest.mark.parametrize("most", [0, 1, 2, 5])
def test_the_loop_is_bounded(most: int) -> None:
    """The first question and `most` others are checked: most + 1 calls; the last reply is one question more."""
    numbers = itertools.count()
    outcome = run(Check(with_changes(max_regenerations=most)), ROW, lambda request: endless(request, numbers))
    tried = ["What is it?", *(f"Is it {k}?" for k in range(most + 1))]
    assert outcome == Drop("not settled", " | ".join(tried))
    assert next(numbers) == most + 1


def test_keep_last_keeps_the_last_question() -> None:
    numbers = itertools.count()
    stage = Check(with_changes(on_unsettled="keep_last"))
    outcome = run(stage, ROW, lambda request: endless(request, numbers))
    assert isinstance(outcome, list)
    assert outcome[0].question == "Is it 2?"
    assert outcome[0].asked == ("What is it?", "Is it 0?", "Is it 1?", "Is it 2?")


def test_one_pass_as_released() -> None:
    stage = Check(with_changes(max_regenerations=0, on_unsettled="keep_last"))
    assert stage.take(ROW, replies("Where is it?"), CONTEXT) == [
        Row("r", "i", question="Where is it?", asked=("What is it?", "Where is it?"))
    ]


def test_a_circle_does_not_settle() -> None:
    """A -> B -> A: A was turned down already, and would be again."""
    row = Row("r", "i", question="B?", asked=("A?", "B?"))
    assert Check(with_changes(max_regenerations=9)).take(row, replies("a ?"), CONTEXT) == Drop(
        "not settled", "A? | B? | a ?"
    )


@pytest.mark.parametrize("reply", ["", "Yes.", "It can be answered."])
def test_a_reply_without_a_question_ends_the_row(reply: str) -> None:
    assert Check(CHECK).take(ROW, replies(reply), CONTEXT) == Drop("no question in check", reply)


def test_name_as_released() -> None:
    """A substring test: an ornament has no name, and yet it goes."""
    stage = Check(with_changes(banned=("name",)))
    reply = "What is the ornament?"
    assert stage.take(ROW, replies(reply), CONTEXT) == Drop("banned text", reply)
    assert isinstance(Check(CHECK).take(ROW, replies(reply), CONTEXT), Again)


def test_every_sentence_that_asks_as_released() -> None:
    """Two questions a picture, three sentences: rows 0, 2 and 4; row 1 belongs to the picture's other question."""
    stage = Check(with_changes(keep="all", labels="exact", max_regenerations=0, on_unsettled="keep_last"), stride=2)
    taken = stage.take(ROW, replies("Question: What is it? Where? No. Why?"), CONTEXT)
    assert isinstance(taken, list)
    assert [(row.id, row.number, row.question) for row in taken] == [
        ("r", 0, "What is it?"),
        (ids.child("i", "row", 2), 2, "Where?"),
        (ids.child("i", "row", 4), 4, "Why?"),
    ]


def test_a_label_leaks_as_released() -> None:
    """Only label and space are deleted, so a line break after the label saves it."""
    stage = Check(with_changes(labels="exact", max_regenerations=0, on_unsettled="keep_last"))
    taken = stage.take(ROW, replies("Question:\nWhere is it?"), CONTEXT)
    assert isinstance(taken, list)
    assert taken[0].question == "Question:\nWhere is it?"
    assert Check(CHECK).take(ROW, replies("Question:\nWhat is it?"), CONTEXT) == [ROW]
