"""Rates worked by hand."""

from __future__ import annotations

import pytest

from sena.align.config import TrainConfig
from sena.align.schedule import rate


def rates(schedule: str, warmup: float, steps: int) -> list[float]:
    config = TrainConfig.model_validate({"schedule": schedule, "warmup": warmup, "learning_rate": 8.0})
    return [rate(config, step, steps) for step in range(steps)]


def test_cosine() -> None:
    """2 of 6 steps rise: 4, 8. Then 8 * (1 + cos(pi * k / 4)) / 2 for k = 0..3: 8, 6.8284, 4, 1.1716."""
    assert rates("cosine", 0.3, 6) == pytest.approx([4, 8, 8, 6.828427, 4, 1.171573], abs=1e-6)


def test_constant() -> None:
    assert rates("constant", 0.5, 4) == [4, 8, 8, 8]
    assert rates("constant", 0.0, 3) == [8, 8, 8]


def test_warmup_log_constant() -> None:
    """4 of 8 steps rise: log 1, log 2, log 3, log 4 over log 4 = 0, .5, .79248, 1; then 1."""
    assert rates("warmup_log_constant", 0.5, 8) == pytest.approx([0, 4, 6.339850, 8, 8, 8, 8, 8], abs=1e-6)


def test_all_warmup_and_one_step() -> None:
    assert rates("cosine", 1.0, 2) == [4, 8]
    assert rates("cosine", 0.03, 1) == [8]
