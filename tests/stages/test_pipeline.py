"""All stages in a row: columns as declared, a Chinese run, hostile answers, and the shipped recipes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from sena import ids
from sena.errors import SenaError
from sena.recipes.load import read
from sena.records import Again, Drop, Image, Pair, Reply, Request, Row
from sena.seeds import derive
from sena.stages import StagesConfig, first_rows, make_stages, pairs_of, sift
from sena.stages.base import check_columns
from sena.stages.config import QuestionConfig
from tests.stages.make import CONTEXT, HOSTILE, run, stages_config

IMAGE = Image("i", "folder", "a.png", "0" * 64, 8, 8)
RECIPES = ("sena", "sena-as-released", "demo")


def recipe(name: str) -> StagesConfig:
    data, _ = read(name)
    return StagesConfig.model_validate({key: data[key] for key in StagesConfig.model_fields if key in data})


def through(config: StagesConfig, model: Callable[[Request], str]) -> list[Row]:
    rows = first_rows(IMAGE, config, CONTEXT)
    for stage in make_stages(config):
        outcomes = [run(stage, row, model) for row in rows]
        rows = [row for outcome in outcomes if not isinstance(outcome, Drop) for row in outcome]
    return rows


def said(request: Request, texts: dict[str, str]) -> str:
    """The text for "stage/part" of the request's id."""
    _, stage, _, part = request.id.split("/")
    return texts[f"{stage}/{part}"]


CHINESE = {
    "question/question": "图中的车是什么颜色？",
    "check/question": "问题：图中的车是什么颜色？",
    "answer/description": "一辆红色的车停在路边。",
    "answer/answer": "红色",
    "enhance/answer": "更好的回答：红色的车",
    "reject/description": "一只狗在草地上。",
    "reject/answer": "绿色",
}


def test_a_chinese_row_goes_through_all_stages() -> None:
    config = stages_config()
    labels = {"check": "问题：", "enhance": "更好的回答："}
    changed = {key: getattr(config, key).model_copy(update={"label": label}) for key, label in labels.items()}
    config = config.model_copy(update=changed)
    (row,) = through(config, lambda request: said(request, CHINESE))
    judged = sift(pairs_of(row, CONTEXT, config), row, [], config)
    assert [(pair.kind, pair.chosen, pair.rejected, reason) for pair, reason in judged] == [
        ("description", "一辆红色的车停在路边。", "一只狗在草地上。", None),
        ("answer", "红色的车", "绿色", None),
    ]
    assert judged[1][0].prompt == "图中的车是什么颜色？ briefly."
    assert judged[1][0].plain == "红色"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_answers_come_through_untouched(text: str) -> None:
    """The model says nothing but `text`; its question holds it too."""
    asked = f"What is {text} here?"
    prompts: dict[str, str] = {}

    def model(request: Request) -> str:
        _, stage, _, part = request.id.split("/")
        prompts[f"{stage}/{part}"] = request.prompt
        return asked if part == "question" else f"Improved answer: {text}" if stage == "enhance" else text

    config = stages_config()
    (row,) = through(config, model)
    assert row.question == asked
    assert prompts["check/question"] == f"Check: {asked}"
    assert prompts["answer/answer"] == prompts["reject/answer"] == f"{asked} briefly."
    assert prompts["enhance/answer"] == f"[{text}] [{asked}] [{text}]"
    described, answered = pairs_of(row, CONTEXT, config)
    assert (described.chosen, answered.chosen, answered.rejected) == (text, text, text)
    assert answered.prompt == f"{asked} briefly."


@pytest.mark.parametrize("name", RECIPES)
def test_a_stage_changes_the_columns_that_it_declares(name: str) -> None:
    """With replies that are cut, so that `cut` changes too, and a check that gives another question first.

    Every column that any stage changed is declared by it, and every declared one changes at some time, but for `id`
    and `number`, which only the rows added by `keep: all` change.
    """
    config = recipe(name)
    texts = {
        "question/question": "What is it?",
        "answer/description": "A car.",
        "answer/answer": "car",
        "enhance/answer": f"{config.enhance.label} red car",
        "enhance/description": f"{config.enhance.label} A red car.",
        "reject/description": "A dog.",
        "reject/answer": "dog",
    }
    rows = first_rows(IMAGE, config, CONTEXT)
    for stage in make_stages(config):
        row, changed = rows[0], set()
        for reply in ("Where is it? What for?", "Where is it?"):
            asked = stage.ask(row, CONTEXT)
            texts["check/question"] = reply
            replies = [Reply(request.id, said(request, texts), finished=False) for request in asked]
            bare = replace(row, cut=())
            taken = stage.take(bare, replies, CONTEXT)
            assert not isinstance(taken, Drop)
            after = [taken.row] if isinstance(taken, Again) else list(taken)
            for new in after:
                changed |= {f.name for f in fields(Row) if getattr(new, f.name) != getattr(bare, f.name)}
            row = after[0]
            if not isinstance(taken, Again):
                break
        assert changed <= set(stage.writes)
        assert set(stage.writes) - changed <= {"id", "number"}
        rows = [row]


def test_a_stage_reads_only_the_columns_that_it_declares() -> None:
    """What is not declared may hold anything: requests and outcome do not change but for carrying it along."""
    config = recipe("sena-as-released")
    texts = dict.fromkeys(CHINESE, "What is it?") | {"enhance/description": "What is it?"}
    full = Row("r", "i", 0, "What is it?", ("What is it?",), "D", "A", "d", "a", "ed", "ea", "rd", "ra", ("answer",))
    empty = Row("", "")
    for stage in make_stages(config):
        bare = replace(full, **{f.name: getattr(empty, f.name) for f in fields(Row) if f.name not in stage.reads})
        asked = stage.ask(full, CONTEXT)
        assert stage.ask(bare, CONTEXT) == asked
        replies = [Reply(request.id, said(request, texts)) for request in asked]
        outcomes = [stage.take(row, replies, CONTEXT) for row in (full, bare)]
        shown = []
        for outcome in outcomes:
            assert not isinstance(outcome, Drop | Again)
            shown.append([[getattr(row, name) for name in stage.writes if name != "cut"] for row in outcome])
        assert shown[0] == shown[1]


def test_a_stage_without_the_one_that_feeds_it_is_refused() -> None:
    with pytest.raises(SenaError, match="'check' reads 'question'"):
        check_columns(make_stages(stages_config())[1:])


def test_rows_and_ids_come_from_the_picture() -> None:
    config = stages_config().model_copy(update={"question": QuestionConfig(prompts=("A",), questions_per_image=2)})
    assert first_rows(IMAGE, config, CONTEXT) == [
        Row(ids.child("i", "row", 0), "i", 0),
        Row(ids.child("i", "row", 1), "i", 1),
    ]


def test_a_row_becomes_two_pairs() -> None:
    row = Row(
        "r", "i", 0, "What?", ("What?",), "D short.", "What? briefly.", "A car", "car", "A car", "red", "A dog", "dog"
    )
    described, answered = pairs_of(row, CONTEXT, stages_config())
    noise = derive(7, 1, "i", "corruption")
    spoiled = {"corruption": "diffusion", "strength": 600, "corruption_seed": noise}
    description, answer = ids.child("r", "description"), ids.child("r", "answer")
    assert described == Pair(description, "r", "i", "description", "D short.", "A car", "A dog", "A car", **spoiled)
    assert answered == Pair(answer, "r", "i", "answer", "What? briefly.", "red", "dog", "car", **spoiled)


DEMO = {
    "question/question": "what colour is the square ?",
    "check/question": "question : what colour is the square ?",
    "answer/description": "a red square .",
    "answer/answer": "red",
    "enhance/answer": "improved answer : dark red",
    "reject/description": "a blue circle .",
    "reject/answer": "blue",
}


def test_the_demo_speaks_the_language_that_the_miniature_was_taught() -> None:
    from sena.mini import prompts

    config = recipe("demo")
    seen: dict[str, str] = {}

    def model(request: Request) -> str:
        seen.setdefault(request.id.split("/")[1] + "/" + request.id.split("/")[3], request.prompt)
        return said(request, DEMO)

    (row,) = through(config, model)
    question = "what colour is the square ?"
    assert (row.question, row.enhanced_answer, row.asked) == (question, "dark red", (question,))
    assert seen["question/question"] == prompts.QUESTION
    assert seen["check/question"] == prompts.check_prompt(question)
    assert seen["answer/answer"] == seen["reject/answer"] == prompts.answer_prompt(question)
    assert seen["answer/description"] in [prompts.describe_prompt(k) for k in range(len(prompts.DESCRIBE))]
    assert seen["enhance/answer"] == prompts.enhance_prompt("a red square .", question, "red")
    assert config.describe.prompts == prompts.DESCRIBE


@pytest.mark.parametrize("name", RECIPES)
def test_no_describe_prompt_is_dropped_by_the_released_name_filter(name: str) -> None:
    config = recipe(name)
    assert not [
        text for text in (*config.describe.prompts, config.describe.suffix, config.answer.suffix) if "name" in text
    ]
    assert len(set(config.describe.prompts)) == len(config.describe.prompts)
