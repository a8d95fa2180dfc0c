"""Given questions as a stage, a method without descriptions, and the thinning of pairs."""

from __future__ import annotations

import random

import pytest

from sena.errors import RecipeError
from sena.recipes.recipe import load_recipe
from sena.records import Drop, Image, Pair, Row
from sena.stages import first_rows, make_stages, pairs_of
from sena.stages.base import Context
from sena.stages.given import Given
from sena.stages.pair import thinned

CONTEXT = Context(7, 1, given={"i": ("What is it?", "How many?")})
IMAGE = Image("i", "folder", "a.png", "0" * 64, 8, 8)


def test_a_row_takes_the_question_of_its_number() -> None:
    config = load_recipe("seva", images="mini").stages()
    rows = first_rows(IMAGE, config, CONTEXT)
    taken = [Given().take(row, [], CONTEXT) for row in rows]
    assert [Given().ask(row, CONTEXT) for row in rows] == [[], []]
    assert [
        [(row.number, row.question, row.asked) for row in each] for each in taken if not isinstance(each, Drop)
    ] == [
        [(0, "What is it?", ("What is it?",))],
        [(1, "How many?", ("How many?",))],
    ]


def test_a_picture_nobody_asked_about_ends_with_its_reason() -> None:
    config = load_recipe("seva", images="mini").stages()
    (row,) = first_rows(IMAGE, config, Context(7, 1))
    assert Given().take(row, [], Context(7, 1)) == Drop("no given question")


def test_seva_asks_for_answers_only() -> None:
    config = load_recipe("seva", images="mini").stages()
    assert [stage.name for stage in make_stages(config)] == ["given", "answer", "enhance", "reject"]
    row = Row("r", "i", question="What is it?", answer_prompt="What is it?", enhanced_answer="a", rejected_answer="b")
    (pair,) = pairs_of(row, CONTEXT, config)
    assert (pair.kind, pair.prompt, pair.chosen, pair.rejected) == ("answer", "What is it?", "a", "b")
    for stage in make_stages(config):
        assert not [request for request in stage.ask(row, CONTEXT) if request.id.endswith("description")]


def test_enhancement_needs_descriptions() -> None:
    with pytest.raises(RecipeError, match=r"enhance\.enabled needs descriptions"):
        load_recipe("seva", images="mini", settings=["enhance.enabled=true"])


def test_thinning_goes_by_ids_alone() -> None:
    pairs = [Pair(f"{number:03}", "r", "i", "answer", "p", "c", "r") for number in range(100)]
    kept = thinned(pairs, 30, seed=3)
    assert len(kept) == 30
    assert kept == sorted(kept, key=lambda pair: pair.id)
    shuffled = random.Random(0).sample(pairs, 100)
    assert {pair.id for pair in thinned(shuffled, 30, seed=3)} == {pair.id for pair in kept}
    without = [pair for pair in pairs if pair not in kept[:5]]
    assert {pair.id for pair in kept[5:]} <= {pair.id for pair in thinned(without, 30, seed=3)}
    assert thinned(pairs, 30, seed=4) != kept
    assert thinned(pairs, None, seed=3) == pairs
