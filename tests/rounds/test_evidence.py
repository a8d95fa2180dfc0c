"""The table that a round ends with."""

from __future__ import annotations

import io

from rich.console import Console

from sena.rounds.evidence import table


def figure(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high, "n": 500.0}


def test_arrows_say_what_is_good_words_what_happened_and_all_fits_80_columns() -> None:
    figures = {
        "metrics": {
            "chair_i": figure(0.002, 0.0, 0.004),
            "pope_adversarial": figure(0.837, 0.809, 0.861),
            "vqa": figure(0.945, 0.93, 0.958),
            "length": figure(20.262, 19.722, 20.784),
        },
        "blind": {"pope_adversarial": figure(0.5, 0.4, 0.6)},
        "to_base": {
            "chair_i": figure(-0.119, -0.131, -0.108),
            "pope_adversarial": figure(-0.21, -0.24, -0.178),
            "vqa": figure(0.001, -0.001, 0.003),
            "length": figure(-1.464, -1.638, -1.296),
        },
    }
    said = io.StringIO()
    Console(file=said, width=80).print(table("mini, round 3", figures))
    lines = [" ".join(line.split()) for line in said.getvalue().splitlines()]
    for line in (
        "chair_i ↓ 0.002 0.000–0.004 -0.119 (-0.131, -0.108) better",
        "pope_adversarial ↑ 0.837 0.809–0.861 0.500 -0.210 (-0.240, -0.178) worse",
        "vqa ↑ 0.945 0.930–0.958 +0.001 (-0.001, +0.003) =",
        "length 20.3 19.7–20.8 -1.464 (-1.638, -1.296) changed",
        "↑ more is better, ↓ less is better",
    ):
        assert line in lines
