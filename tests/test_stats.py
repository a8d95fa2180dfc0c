"""Intervals against what statistics says they must be."""

from __future__ import annotations

import numpy as np
import pytest

from sena import stats


def test_a_share_has_the_width_of_its_standard_error() -> None:
    """400 images, a quarter right: 1.96 * sqrt(.25 * .75 / 400) = .0424 either side of .25."""
    right = np.array([1.0, 0, 0, 0] * 100)
    found = stats.bootstrap(right, np.ones(400), stats.resampling(400))
    assert (found["value"], found["n"]) == (0.25, 400)
    assert found["low"] == pytest.approx(0.25 - 0.0424, abs=0.006)
    assert found["high"] == pytest.approx(0.25 + 0.0424, abs=0.006)


def test_what_belongs_to_an_image_stays_together() -> None:
    """100 images of 4 equal answers are 100 things, not 400: the interval is twice as wide as that of 400 images."""
    right = np.array([4.0, 0, 0, 0] * 25)
    found = stats.bootstrap(right, np.full(100, 4.0), stats.resampling(100))
    assert found["value"] == 0.25
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * (0.25 * 0.75 / 100) ** 0.5, abs=0.03)


def test_differences_are_paired() -> None:
    """The new model is right wherever the old one was, and on every tenth image besides: +.1, and far surer than that
    two independent samples could be (their interval would be .13 wide either side)."""
    old = np.array([1.0, 0] * 100)
    new = np.maximum(old, np.array(([0.0] * 9 + [1.0]) * 20))
    whole = np.ones(200)
    found = stats.difference((old, whole), (new, whole), stats.resampling(200))
    assert found["value"] == pytest.approx((new - old).mean())
    assert 0 < found["low"] < found["value"] < found["high"] < found["value"] + 0.06
    same = stats.difference((old, whole), (old, whole), stats.resampling(200))
    assert (same["value"], same["low"], same["high"]) == (0, 0, 0)


def test_nothing_counted_is_zero_and_no_error() -> None:
    found = stats.bootstrap(np.zeros(5), np.zeros(5), stats.resampling(5))
    assert found == {"value": 0.0, "low": 0.0, "high": 0.0, "n": 0.0}
