"""Watching without labels: which requests are made, and each score by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sena.engines.local import LocalEngine
from sena.engines.scripted import ScriptedEngine
from sena.evals import watch
from sena.evals.watch import Prompts, Watched
from sena.mini import mini_folder
from sena.mini.bench import MiniBench
from sena.mini.prompts import ANSWER_SUFFIX, QUESTION, describe_prompt
from sena.models.load import load
from sena.records import Request

PROMPTS = Prompts("Ask.", ("Describe.",), "briefly.", 16, 32, 8)
BASE = Watched("a", "What?", "What?", "a red cat", ("a red cat", "a red dog"), "yes", -1.0, -2.0, -4.0)


def no_picture(image: str) -> None:
    raise AssertionError("nobody looks at pictures here")


def test_every_picture_is_asked_the_same_things() -> None:
    seen: list[Request] = []

    def script(request: Request) -> str:
        seen.append(request)
        return f"says {request.id}"

    (record, _) = watch.watch(ScriptedEngine(script), ["a", "b"], no_picture, PROMPTS, {"a": "Old?", "b": "Old?"}, 7)
    assert [request.id for request in seen if request.image == "a"] == [
        *("a/question", "a/describe", "a/answer", "a/view0", "a/view1"),
    ]
    assert record.asked == "Old?"
    assert next(request.prompt for request in seen if request.id == "a/answer") == "Old? briefly."
    assert record.views == ("says a/view0", "says a/view1")
    assert math.isnan(record.with_image)  # a script cannot score
    assert watch.from_json(watch.to_json(record)).description == record.description
    assert math.isnan(watch.from_json(watch.to_json(record)).with_image)


def test_scores_by_hand() -> None:
    """Two pictures. Words in common of the first one's views: a, red = 2 of 3 and 3, F1 2/3; of the second's all."""
    other = replace(
        BASE,
        image="b",
        description="a dog",
        views=("a dog", "a dog"),
        answer="No.",
        with_image=-0.5,
        without_image=-1.0,
    )
    found = watch.summarise([BASE, other])
    values = {name: figure["value"] for name, figure in found.items()}
    assert values == pytest.approx(
        {
            "grounding": (1.0 + 0.5) / 2,
            "grounding_other": (3.0 + 3.5) / 2,
            "agreement": (2 / 3 + 1) / 2,
            "yes_ratio": 0.5,
            "description_words": 2.5,
            "answer_words": 1.0,
            "distinct_questions": 0.0,  # both ask What?
            "duplicates": 0.0,
        }
    )
    assert found["grounding"]["low"] <= 0.75 <= found["grounding"]["high"]


def test_what_nothing_speaks_for_is_left_out() -> None:
    """No answer is yes or no, the engine cannot score, and there are no views."""
    unknown = float("nan")
    record = replace(BASE, answer="red", views=(), with_image=unknown, without_image=unknown, with_other=unknown)
    assert set(watch.summarise([record, replace(record, description="other")])) == {
        *("description_words", "answer_words", "distinct_questions", "duplicates"),
    }


def test_differences_are_paired_by_picture() -> None:
    before = [replace(BASE, image=str(number), with_image=-number / 10) for number in range(20)]
    after = [replace(each, with_image=each.with_image + 0.25) for each in before]
    change = watch.compare(before, after)["grounding"]
    assert (change["value"], change["low"], change["high"]) == pytest.approx((0.25, 0.25, 0.25))


def test_on_the_miniature_the_picture_speaks_for_its_descriptions() -> None:
    bench = MiniBench()
    images = [item.id for item in bench.items("tuning", 8)]
    prompts = Prompts(QUESTION, (describe_prompt(0),), ANSWER_SUFFIX, 32, 64, 8)
    engine = LocalEngine(load(str(mini_folder())), batch=32)
    found = watch.summarise(watch.watch(engine, images, bench.open_image, prompts, {}, 0))
    assert found["grounding"]["low"] > 1.0
    assert found["grounding_other"]["low"] > 1.0
    assert found["agreement"]["value"] > 0.7
