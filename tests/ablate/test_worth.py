"""How well scores without labels follow the truth, worked by hand and held to scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sena.ablate.cells import Cell
from sena.ablate.worth import correlations, markdown, pearson, spearman, worth


def change(value: float) -> dict[str, float]:
    return {"value": value, "low": value, "high": value, "n": 1.0}


def run(*rounds: tuple[float, float]) -> dict[str, Any]:
    """A run whose rounds changed `grounding` and `chair_i` by so much; `agreement` never changes."""
    made = [{"watched": {"metrics": {}}, "to_base": {}}]
    for grounding, chair in rounds:
        watched = {"grounding": change(grounding), "agreement": change(0.0)}
        made.append({"watched": {"metrics": {}, "to_base": watched}, "to_base": {"chair_i": change(chair)}})
    return {"rounds": made}


def test_coefficients_by_hand() -> None:
    """x 1 2 3 4, y 1 3 2 4: products of deviations 2.25 - .25 - .25 + 2.25 = 4, squares 5 and 5, so 4/5; ranks are the
    values. With y 1 3 2 40 the ranks stay, and Pearson falls to 58 / sqrt(5 * 1085) = .7875."""
    points = np.array([[1, 1], [2, 3], [3, 2], [4, 4]], dtype=float)
    assert pearson(points) == pytest.approx(0.8)
    assert spearman(points) == pytest.approx(0.8)
    points[3, 1] = 40
    assert spearman(points) == pytest.approx(0.8)
    assert pearson(points) == pytest.approx(58 / np.sqrt(5 * 1085))
    assert np.isnan(pearson(np.array([[1.0, 5.0], [2.0, 5.0]])))


def test_coefficients_as_scipy_has_them_ties_too() -> None:
    from scipy import stats

    points = np.random.RandomState(1).randint(6, size=(40, 2)).astype(float)
    assert pearson(points) == pytest.approx(stats.pearsonr(points[:, 0], points[:, 1]).statistic)
    assert spearman(points) == pytest.approx(stats.spearmanr(points[:, 0], points[:, 1]).statistic)


def test_runs_are_resampled_whole() -> None:
    """Three runs of two equal points each, on one line: every resample with two different runs has a coefficient of 1,
    and the ninth part, one run three times, has none. Were points drawn, far fewer would have none."""
    runs = [np.array([[value, 2 * value]] * 2) for value in (1.0, 2.0, 4.0)]
    for found in correlations(runs).values():
        assert found == {"value": pytest.approx(1), "low": pytest.approx(1), "high": pytest.approx(1), "n": 6}
    loose = [np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[0.0, 0.0], [1.0, 1.0]])]
    found = correlations(loose)["pearson"]  # two runs say 1, one says -1: 2/3 and 1/3 of the points
    assert found["value"] == pytest.approx(1 / 3)
    assert (found["low"], found["high"]) == (pytest.approx(-1), pytest.approx(1))


def test_a_run_that_repeats_another_counts_once() -> None:
    cells = {Cell("sena", "1", "", seed): run((1.0 + seed, -0.1 * seed**2), (3.0, -0.3)) for seed in range(3)}
    same = {Cell("quirk:a", "1", "", seed): cells[Cell("sena", "1", "", seed)] for seed in (0, 1)}
    assert worth({**cells, **same}) == worth(cells)
    other_base = {Cell("sena", "2", "", 0): cells[Cell("sena", "1", "", 0)]}
    assert worth({**cells, **other_base}) != worth(cells)


def test_the_table_holds_what_changed_and_says_over_how_many_points() -> None:
    cells = {Cell("sena", "1", "", seed): run((1.0 + seed, -0.1 - 0.1 * seed), (3.0, -0.3)) for seed in range(3)}
    found = worth({**cells, Cell("sena", "1", "", 3): None, Cell("sena", "1", "", 4): {"failed": "no pair"}})
    assert set(found) == {"grounding"}
    assert set(found["grounding"]) == {"chair_i"}
    assert found["grounding"]["chair_i"]["pearson"]["value"] == pytest.approx(-1)
    assert "| grounding | -1.00 (-1.00 to -1.00) | -1.00 (-1.00 to -1.00) |" in markdown(found)
    assert markdown(found).endswith("| 6 |\n")


def test_of_two_runs_nothing_is_said() -> None:
    cells = {Cell("sena", "1", "", seed): run((1.0 + seed, -0.1)) for seed in range(2)}
    assert worth(cells) == {}
    assert markdown({}) == "not yet run\n"
