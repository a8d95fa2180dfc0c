"""What the scores without labels are worth: how well their change follows the change of the truth, over all runs.

A point is one round of one run, both changes counted from the base. Rounds of a run belong together, so runs are
resampled, not points. P points. A quirk that changes nothing makes runs equal to another recipe's figure by figure:
they are no evidence of their own, and count once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from sena.ablate.cells import Found
from sena.stats import RESAMPLES, Figure, figure

TRUTH = ("chair_i", "pope_adversarial", "vqa")
LEAST = 3
"""Runs below which nothing is said."""
Worth = dict[str, dict[str, dict[str, Figure]]]
"""By score, then by metric: `pearson` and `spearman`."""


def worth(found: Found) -> Worth:
    """Correlations of every score with every true metric, with 95 % intervals; `n` is the number of points.

    Left out are scores that never changed, and all of them below three runs.
    """
    played = [(cell.base, made["rounds"]) for cell, made in found.items() if made is not None and "rounds" in made]
    runs = [rounds[1:] for _, rounds in {json.dumps(each, sort_keys=True): each for each in played}.values()]
    runs = [rounds for rounds in runs if any(each["watched"].get("to_base") for each in rounds)]
    if len(runs) < LEAST:
        return {}
    scores = sorted({name for rounds in runs for each in rounds for name in each["watched"].get("to_base", {})})
    made = {score: {truth: _both(runs, score, truth) for truth in TRUTH} for score in scores}
    known = {score: {truth: both for truth, both in row.items() if both} for score, row in made.items()}
    return {score: row for score, row in known.items() if row}


def _both(runs: Sequence[Sequence[dict]], score: str, truth: str) -> dict[str, Figure]:
    """Pearson's and Spearman's coefficient over the rounds that have both figures."""
    points = [
        [
            (each["watched"]["to_base"][score]["value"], each["to_base"][truth]["value"])
            for each in rounds
            if score in each["watched"].get("to_base", {}) and truth in each["to_base"]
        ]
        for rounds in runs
    ]
    return correlations([np.array(each, dtype=float) for each in points if each])


def correlations(runs: Sequence[np.ndarray]) -> dict[str, Figure]:
    """Of points [P, 2] by run. Empty where one side never changes, or where few resamples would have any."""
    if len(runs) < LEAST:
        return {}
    whole = np.concatenate(runs)
    ends = np.cumsum([len(run) for run in runs])
    places = [np.arange(end - len(run), end) for run, end in zip(runs, ends, strict=True)]
    draws = np.random.RandomState(0).randint(len(runs), size=(RESAMPLES, len(runs)))
    resamples = [whole[np.concatenate([places[run] for run in draw])] for draw in draws]
    made = {}
    for name, coefficient in (("pearson", pearson), ("spearman", spearman)):
        drawn = np.array([coefficient(points) for points in resamples])
        drawn = drawn[np.isfinite(drawn)]  # a resample in which nothing changes has no coefficient
        if np.isfinite(coefficient(whole)) and len(drawn) > RESAMPLES / 2:
            made[name] = figure(coefficient(whole), drawn, len(whole))
    return made


def pearson(points: np.ndarray) -> float:
    """Of points [P, 2]; not a number where one side is constant."""
    away = points - points.mean(axis=0)
    spread = np.sqrt((away**2).sum(axis=0))
    return float((away[:, 0] @ away[:, 1]) / (spread[0] * spread[1])) if spread.min() > 1e-12 else float("nan")


def spearman(points: np.ndarray) -> float:
    """Pearson's coefficient of the ranks, ties (up to rounding) at their mean rank."""
    return pearson(np.column_stack([_ranks(points[:, 0]), _ranks(points[:, 1])]))


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values.round(12), return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def markdown(made: Worth) -> str:
    """A row a score: both coefficients with each true metric."""
    head = "| change of | " + " | ".join(f"{truth}: Pearson | Spearman" for truth in TRUTH) + " | points |"
    lines = [head, f"|---|{'---|' * (2 * len(TRUTH) + 1)}"]
    for score, row in made.items():
        cells = [_told(row.get(truth, {}).get(name)) for truth in TRUTH for name in ("pearson", "spearman")]
        points = max(each["n"] for both in row.values() for each in both.values())
        lines.append(f"| {score} | {' | '.join(cells)} | {points:.0f} |")
    return "\n".join(lines) + "\n" if made else "not yet run\n"


def _told(figure: Figure | None) -> str:
    return f"{figure['value']:+.2f} ({figure['low']:+.2f} to {figure['high']:+.2f})" if figure else ""
