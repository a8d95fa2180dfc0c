"""Asking a question about a picture."""

from __future__ import annotations

import pytest

from sena.records import Drop, Row
from sena.seeds import derive
from sena.stages.config import QuestionConfig
from sena.stages.question import Question
from tests.stages.make import CONTEXT, QUESTION, replies

ROW = Row(id="r", image_id="i")


def test_the_request_says_whose_it_is_and_what_it_asks() -> None:
    (request,) = Question(QUESTION).ask(ROW, CONTEXT)
    assert (request.id, request.prompt, request.image) == ("r/question/0/question", "Ask.", "i")
    assert (request.max_new_tokens, request.temperature, request.corruption) == (512, 0.0, None)
    assert request.seed == derive(7, 1, "i", "question", 0, "0/question")


def test_prompts_are_used_in_turn() -> None:
    stage = Question(QuestionConfig(prompts=("A", "B"), questions_per_image=3, temperature=0.7))
    asked = [stage.ask(Row(id="r", image_id="i", number=k), CONTEXT)[0] for k in range(3)]
    assert [request.prompt for request in asked] == ["A", "B", "A"]
    assert len({request.seed for request in asked}) == 3
    assert asked[0].temperature == 0.7


@pytest.mark.parametrize(
    ("reply", "question"),
    [
        ("What is it?", "What is it?"),
        ("A street. What is it? Where is it?", "What is it?"),
        ("Question: What is it?", "What is it?"),
        ("question : what is it ?", "what is it ?"),
        ("这是什么？", "这是什么？"),
        ("Here you are:\n\n**Question:**\nWhat is it?\n", "What is it?"),
    ],
)
def test_the_first_sentence_that_asks_is_the_question(reply: str, question: str) -> None:
    taken = Question(QUESTION).take(ROW, replies(reply), CONTEXT)
    assert taken == [Row(id="r", image_id="i", question=question, asked=(question,))]


@pytest.mark.parametrize("reply", ["", "  ", "A red car.", "?"])
def test_a_reply_without_a_question_ends_the_row(reply: str) -> None:
    assert Question(QUESTION).take(ROW, replies(reply), CONTEXT) == Drop("no question", reply)


def test_as_released_the_whole_reply_goes_on() -> None:
    stage = Question(QuestionConfig(prompts=("Ask.",), keep="whole"))
    taken = stage.take(ROW, replies(" A car. What is it? \n"), CONTEXT)
    assert isinstance(taken, list)
    assert taken[0].question == "A car. What is it?"


def test_a_cut_reply_is_noted() -> None:
    taken = Question(QUESTION).take(ROW, replies("What is it? It", finished=False), CONTEXT)
    assert isinstance(taken, list)
    assert taken[0].cut == ("question",)
