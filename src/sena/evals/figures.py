"""Metrics with intervals: pictures are resampled, and all that was asked about one picture goes together.

A benchmark counts things picture by picture and says how a metric follows from sums of these counts. So the same
formula gives the metric of the whole and of every resample. Shapes: N pictures, S resamples, K counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from sena import stats
from sena.stats import Figure

Counts = Mapping[str, float]
"""What was counted on one picture; a name that is absent counts 0."""
Measured = tuple[np.ndarray, np.ndarray]
"""A metric and the number of things that it rests on, each [1 + S]: the whole first, then the resamples."""


class Totals(dict[str, np.ndarray]):
    """Counts summed over pictures, each [1 + S]. A name that was never counted is 0 everywhere."""

    def __missing__(self, name: str) -> np.ndarray:
        return np.zeros(1 + stats.RESAMPLES)

    def share(self, top: str, bottom: str) -> Measured:
        """One sum divided by another, 0 where nothing was counted."""
        return stats.ratio(self[top], self[bottom]), self[bottom]


Measure = Callable[[Totals], dict[str, Measured]]


def summarise(counts: Sequence[Counts], measure: Measure, seed: int = 0) -> dict[str, Figure]:
    """Every metric: value, low, high (95 %) and n. None where nothing was counted, as with a hidden truth."""
    if not any(counts):
        return {}
    found = measure(_totals(counts, stats.resampling(len(counts), seed)))
    return {name: stats.figure(value[0], value[1:], n[0]) for name, (value, n) in found.items()}


def compare(before: Sequence[Counts], after: Sequence[Counts], measure: Measure, seed: int = 0) -> dict[str, Figure]:
    """After minus before, both over the same pictures in the same order; n is the number of pictures."""
    if not any(before) or not any(after):
        return {}
    draws = stats.resampling(len(before), seed)
    old, new = (measure(_totals(counts, draws)) for counts in (before, after))
    changes = {name: new[name][0] - old[name][0] for name in old if name in new}
    return {name: stats.figure(change[0], change[1:], len(before)) for name, change in changes.items()}


def _totals(counts: Sequence[Counts], draws: np.ndarray) -> Totals:
    names = sorted({name for each in counts for name in each})
    table = np.array([[each.get(name, 0.0) for name in names] for each in counts], float)  # [N, K]
    sums = np.vstack([table.sum(axis=0), draws @ table])  # [1 + S, K]
    return Totals({name: sums[:, column] for column, name in enumerate(names)})


def tally(marks: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Points and questions, over all and by group. `marks` holds (group, points from 0 to 1); a group may be empty."""
    counts: dict[str, float] = {}
    for group, points in marks:
        for where in ("", f"{group}/") if group else ("",):
            counts[f"{where}right"] = counts.get(f"{where}right", 0.0) + points
            counts[f"{where}asked"] = counts.get(f"{where}asked", 0.0) + 1
    return counts


def accuracies(total: Totals) -> dict[str, Measured]:
    """`accuracy`, and `GROUP/accuracy` for every group that `tally` saw."""
    wheres = sorted(name.removesuffix("asked") for name in total if name == "asked" or name.endswith("/asked"))
    return {f"{where}accuracy": total.share(f"{where}right", f"{where}asked") for where in wheres}


def harmonic(a: np.ndarray, b: np.ndarray, extra: float = 0.0) -> np.ndarray:
    """F1 of precision and recall, 0 where both are 0. `extra` is added to the denominator."""
    return stats.ratio(2 * a * b, a + b + extra)
