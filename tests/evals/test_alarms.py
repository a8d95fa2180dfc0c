"""Each alarm, at its threshold and beyond it."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from sena.evals import alarms as rules
from sena.evals.alarms import Figures, Training, alarms, readings

NONE: Figures = MappingProxyType({})
QUIET = Training(margin=5.0, drift=1.0, accuracy=0.9)
BASE = {"description_words": {"value": 20.0}, "grounding": {"value": 2.0}, "yes_ratio": {"n": 30.0}}


def change(value: float, half: float = 0.05) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half}


def names(
    watched: Figures = NONE, changes: Figures = NONE, training: Training | None = QUIET, skills: Figures = NONE
) -> list[str]:
    return [alarm.name for alarm in alarms(watched, BASE, changes, training, skills)]


def test_a_healthy_round_is_quiet() -> None:
    watched = {"description_words": {"value": 19.0}}
    changes = {
        "yes_ratio": change(-0.1),
        "distinct_questions": change(0.0),
        "duplicates": change(0.0),
        "grounding": change(0.2),
    }
    assert names(watched, changes, QUIET, {"vqa": change(0.05), "pope": change(-0.01)}) == []


@pytest.mark.parametrize(("words", "expected"), [(25.0, []), (26.0, ["length"]), (16.0, []), (15.0, ["length"])])
def test_length(words: float, expected: list[str]) -> None:
    assert names({"description_words": {"value": words}}) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("yes_ratio", 0.41, ["yes_ratio"]),
        ("yes_ratio", -0.41, ["yes_ratio"]),
        ("yes_ratio", 0.39, []),
        ("distinct_questions", -0.26, ["distinct_questions"]),
        ("distinct_questions", 0.9, []),
        ("duplicates", 0.26, ["duplicates"]),
        ("duplicates", -0.9, []),
        ("grounding", -0.09, ["grounding"]),  # .04 of 2.0 is .08
        ("grounding", -0.07, []),
    ],
)
def test_scores_without_labels(name: str, value: float, expected: list[str]) -> None:
    assert names({"yes_ratio": {"n": 30.0}}, {name: change(value)}) == expected


def test_few_yes_or_no_answers_say_nothing() -> None:
    assert names({"yes_ratio": {"n": 30.0}}, {"yes_ratio": change(-0.5, half=0.5)}) == []
    assert names({"yes_ratio": {"n": 19.0}}, {"yes_ratio": change(-0.5)}) == []
    assert names({"yes_ratio": {"n": 20.0}}, {"yes_ratio": change(-0.5)}) == ["yes_ratio"]


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        (Training(rules.MARGIN_MOST + 1, 0.0, 1.0), ["margin"]),
        (Training(5.0, -rules.DRIFT_MOST - 1, 1.0), ["drift"]),
        (Training(5.0, rules.DRIFT_MOST + 1, 1.0), ["drift"]),
        (Training(-1.0, 0.0, 0.4), ["not learned"]),
        (None, []),
    ],
)
def test_training(training: Training | None, expected: list[str]) -> None:
    assert names(training=training) == expected


def test_a_skill_is_lost_when_its_whole_interval_is_beyond_the_threshold() -> None:
    assert names(skills={"vqa": change(-0.09, half=0.05)}) == ["skill"]
    assert names(skills={"vqa": change(-0.07, half=0.05)}) == []


def test_what_each_alarm_looks_at() -> None:
    """15 of the base's 20 words; half a nat of its 2.0 lost; the skill that is surest to have fallen."""
    changes = {"duplicates": change(0.1), "grounding": change(-0.5)}
    skills = {"vqa": change(-0.09, half=0.05), "pope": change(0.2)}
    found = readings({"description_words": {"value": 15.0}}, BASE, changes, QUIET, skills)
    assert found == pytest.approx(
        {"duplicates": 0.1, "length": 0.75, "grounding": -0.25, "margin": 5, "drift": 1, "not learned": 0.9}
        | {"skill": -0.04}
    )
    assert readings({}, {}, {}, None, {}) == {}
