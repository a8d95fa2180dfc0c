"""The clean answers and the rejected ones: same prompts, other picture."""

from __future__ import annotations

import pytest

from sena.records import Corruption, Row
from sena.seeds import derive
from sena.stages.answer import Answer, describe_request
from sena.stages.base import Context
from sena.stages.config import CorruptionConfig
from sena.stages.reject import Reject
from tests.stages.make import ANSWER, CONTEXT, DESCRIBE, HOSTILE, replies

ROW = Row(id="r", image_id="i", question="What is it?", asked=("What is it?",))
CLEAN = Answer(DESCRIBE, ANSWER)


def test_both_prompts_carry_their_suffix_and_are_kept() -> None:
    describe, answer = CLEAN.ask(ROW, CONTEXT)
    assert describe.prompt in ("D0 short.", "D1 short.", "D2 short.")
    assert answer.prompt == "What is it? briefly."
    assert (describe.id, answer.id) == ("r/answer/0/description", "r/answer/0/answer")
    assert describe.image == answer.image == "i"
    assert describe.corruption is None
    assert answer.corruption is None
    taken = CLEAN.take(ROW, replies(" A car. ", "car\n"), CONTEXT)
    assert isinstance(taken, list)
    (row,) = taken
    assert (row.describe_prompt, row.answer_prompt) == (describe.prompt, answer.prompt)
    assert (row.description, row.answer, row.cut) == ("A car.", "car", ())


@pytest.mark.parametrize("text", HOSTILE)
def test_a_question_goes_into_the_prompt_as_it_is(text: str) -> None:
    assert CLEAN.ask(Row("r", "i", question=text), CONTEXT)[1].prompt == f"{text} briefly."


def test_describe_prompts_are_drawn_by_run_round_and_picture() -> None:
    rows = [Row("r", f"i{k}") for k in range(60)]
    drawn = [describe_request(row, CONTEXT, DESCRIBE) for row in rows]
    assert set(drawn) == {"D0", "D1", "D2"}
    assert drawn == [describe_request(row, CONTEXT, DESCRIBE) for row in rows]
    assert drawn != [describe_request(row, Context(8, 1), DESCRIBE) for row in rows]
    assert drawn != [describe_request(row, Context(7, 2), DESCRIBE) for row in rows]


def test_rows_of_one_picture_describe_it_in_different_ways() -> None:
    assert len({describe_request(Row("r", "i", number), CONTEXT, DESCRIBE) for number in range(3)}) == 3


def test_cut_answers_are_noted() -> None:
    taken = CLEAN.take(ROW, replies("A car and a", "car", finished=False), CONTEXT)
    assert isinstance(taken, list)
    assert taken[0].cut == ("description", "answer")


ANSWERED = Row("r", "i", describe_prompt="D short.", answer_prompt="What? briefly.", cut=("question",))


def test_rejected_answers_have_the_same_prompts_and_one_noise() -> None:
    describe, answer = Reject(DESCRIBE, ANSWER, CorruptionConfig()).ask(ANSWERED, CONTEXT)
    noise = Corruption("diffusion", 600, derive(7, 1, "i", "corruption"))
    assert (describe.prompt, answer.prompt) == ("D short.", "What? briefly.")
    assert describe.corruption == answer.corruption == noise
    assert (describe.id, answer.id, answer.image) == ("r/reject/0/description", "r/reject/0/answer", "i")


def test_a_bad_prompt_stands_before_the_question_of_the_rejected_answers_only() -> None:
    """Under it they are made, but the pair is learned under the question as it is."""
    stage = Reject(DESCRIBE, ANSWER, CorruptionConfig(kind="none", prefix="Make things up."))
    describe, answer = stage.ask(ANSWERED, CONTEXT)
    assert (describe.prompt, answer.prompt) == ("Make things up. D short.", "Make things up. What? briefly.")
    taken = stage.take(ANSWERED, replies("a dog", "dog"), CONTEXT)
    assert isinstance(taken, list)
    assert (taken[0].describe_prompt, taken[0].answer_prompt) == ("D short.", "What? briefly.")


def test_the_noise_is_one_for_all_rows_of_a_picture_in_a_round() -> None:
    stage = Reject(DESCRIBE, ANSWER, CorruptionConfig())

    def noise(row: Row, context: Context) -> Corruption | None:
        return stage.ask(row, context)[0].corruption

    assert noise(Row("a", "i", 0), CONTEXT) == noise(Row("b", "i", 1), CONTEXT)
    assert noise(Row("a", "i", 0), CONTEXT) != noise(Row("a", "j", 0), CONTEXT)
    assert noise(Row("a", "i", 0), CONTEXT) != noise(Row("a", "i", 0), Context(7, 2))


def test_a_noise_for_each_answer_as_released() -> None:
    stage = Reject(DESCRIBE, ANSWER, CorruptionConfig(draws="per_answer"))
    asked = [request for number in range(2) for request in stage.ask(Row("a", "i", number), CONTEXT)]
    assert len({request.corruption for request in asked}) == 4


def test_rejected_answers_are_taken_as_they_come() -> None:
    stage = Reject(DESCRIBE, ANSWER, CorruptionConfig())
    described, answered = replies("Improved answer: x", finished=False) + replies(" dog ")
    taken = stage.take(ANSWERED, [described, answered], CONTEXT)
    assert isinstance(taken, list)
    assert (taken[0].rejected_description, taken[0].rejected_answer) == ("Improved answer: x", "dog")
    assert taken[0].cut == ("question", "rejected_description")
