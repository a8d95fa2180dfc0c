"""Totals, shares and intervals of counts, held to float64 sums done otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from sena import stats
from sena.evals import figures

COUNTS = [{"right": 2.0, "asked": 4.0}, {"right": 0.0, "asked": 1.0}, {"right": 3.0, "asked": 3.0}, {"asked": 2.0}]


def measure(total: figures.Totals) -> dict[str, figures.Measured]:
    return {"share": total.share("right", "asked"), "nothing": total.share("never", "counted")}


def test_a_share_is_that_of_the_sums_and_its_interval_that_of_stats() -> None:
    """(2 + 0 + 3 + 0) / (4 + 1 + 3 + 2) = 0.5, not the mean of the pictures' shares (0.375)."""
    found = figures.summarise(COUNTS, measure)["share"]
    draws = stats.resampling(4)
    assert found == stats.bootstrap(np.array([2.0, 0, 3, 0]), np.array([4.0, 1, 3, 2]), draws)
    assert (found["value"], found["n"]) == (0.5, 10)


def test_what_was_never_counted_is_nought() -> None:
    assert figures.summarise(COUNTS, measure)["nothing"] == {"value": 0, "low": 0, "high": 0, "n": 0}


def test_differences_are_paired() -> None:
    """Every picture gains one right answer: +4 of 10, whatever is drawn, as far as pictures weigh alike."""
    alike = [{"right": float(number % 2), "asked": 2.0} for number in range(30)]
    gained = [{"right": each["right"] + 1, "asked": 2.0} for each in alike]
    found = figures.compare(alike, gained, measure)["share"]
    assert [found[name] for name in ("value", "low", "high", "n")] == pytest.approx([0.5, 0.5, 0.5, 30])


def test_tally_counts_over_all_and_by_group() -> None:
    marks = [("a", 1.0), ("a", 0.5), ("", 0.0)]
    assert figures.tally(marks) == {"right": 1.5, "asked": 3.0, "a/right": 1.5, "a/asked": 2.0}
    found = figures.summarise([figures.tally(marks)], figures.accuracies)
    assert {name: each["value"] for name, each in found.items()} == {"accuracy": 0.5, "a/accuracy": 0.75}


def test_no_pictures_no_metrics() -> None:
    assert figures.summarise([], measure) == figures.compare([], [], measure) == {}
    assert figures.summarise([{}, {}], measure) == figures.compare([{}], [{}], measure) == {}
