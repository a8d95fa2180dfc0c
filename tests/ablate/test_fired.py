"""Alarms counted over runs, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from sena.ablate.cells import Cell
from sena.ablate.fired import alarm_cells, fired, markdown
from sena.ablate.overlay import in_miniature


def figure(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.01, "high": value + 0.01, "n": 1.0}


def run(*rounds: tuple[float, float, tuple[str, ...]]) -> dict[str, Any]:
    """Rounds of so many words a description, so much lost in CHAIR_i, and these alarms. The base has 20 words."""

    def round_of(words: float, chair: float, alarms: tuple[str, ...]) -> dict[str, Any]:
        return {
            "watched": {"metrics": {"description_words": figure(words)}, "to_base": {"duplicates": figure(0.1)}},
            "to_base": {"chair_i": figure(chair)},
            "alarms": [{"name": name, "text": ""} for name in alarms],
            "training": {"margin": 4.0, "drift": -1.0, "accuracy": 0.9},
        }

    return {"rounds": [round_of(20.0, 0.0, ()), *(round_of(*each) for each in rounds)]}


FOUND = {
    Cell("sena", "1", "", 0): run((18.0, -0.1, ()), (22.0, -0.2, ())),
    Cell("sena", "1", "", 1): None,
    Cell("too-fast", "1", "", 0): run((40.0, 0.3, ("length", "skill")), (60.0, 0.5, ("length",))),
    Cell("too-fast", "1", "", 1): run((20.0, 0.1, ("skill",))),
}


def test_runs_are_counted_once_and_readings_span_all_rounds() -> None:
    healthy, fast = fired(FOUND).values()
    assert (healthy["runs"], healthy["of"], healthy["any"]) == (1, 2, 0)
    assert (healthy["least"]["length"], healthy["most"]["length"]) == (pytest.approx(0.9), pytest.approx(1.1))
    assert (fast["runs"], fast["any"], fast["alarms"]["length"], fast["alarms"]["skill"]) == (2, 2, 1, 2)
    assert (fast["least"]["length"], fast["most"]["length"]) == (1, 3)
    assert (fast["least"]["skill"], fast["most"]["skill"]) == (pytest.approx(-0.49), pytest.approx(-0.09))
    assert "grounding" not in fast["least"]
    page = markdown(fired(FOUND))
    assert "| alarm | healthy, 1 of 2 runs | too-fast, 2 of 2 runs |" in page
    assert "| length | 0 (+0.90 to +1.10) | 1 (+1.00 to +3.00) |" in page
    assert "| any | 0 | 2 |" in page


def test_nothing_run_is_said_so() -> None:
    assert markdown(fired(dict.fromkeys(FOUND))) == "not yet run\n"
    assert "| any | 0 | not yet run |" in markdown(fired({**FOUND, **dict.fromkeys(list(FOUND)[2:])}))


def test_thresholds_are_set_on_other_pictures_than_they_are_judged_on() -> None:
    for seeds, pool in ((range(100, 105), "tuning"), (range(5), "evaluation")):
        cells = alarm_cells(seeds)
        assert len(cells) == 3 * 5
        assert {each.recipe for each in cells} == {"sena", "too-fast", "swapped"}
        assert {in_miniature(each.recipe, each.model, each.seed, each.settings).eval.pool for each in cells} == {pool}
    fast = alarm_cells([0])[1]
    assert in_miniature(fast.recipe, fast.model, 0).train.learning_rate == pytest.approx(50 * 5e-5)
