"""Intervals for benchmarks: images are resampled, all that belongs to an image together.

A metric is a sum over images divided by another sum over images, so one matrix of resampling weights serves them all.
Shapes: N images, S resamples.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np

RESAMPLES = 1000
Figure = dict[str, float]
"""`value`, `low` and `high` (95 % interval) and `n`, the number of things counted."""


def resampling(count: int, seed: int = 0) -> np.ndarray:
    """How often each image is drawn in each resample, [S, N]."""
    return np.random.RandomState(seed).multinomial(count, [1.0 / count] * count, size=RESAMPLES).astype(float)


def ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Element by element, 0 where nothing was counted."""
    return np.divide(top, bottom, out=np.zeros_like(top, dtype=float), where=bottom > 0)


def figure(value: float, resampled: np.ndarray, n: float) -> Figure:
    """A value with the middle 95 % of its resamples (percentile bootstrap, Efron 1979)."""
    low, high = np.percentile(resampled, [2.5, 97.5])
    return {"value": float(value), "low": float(low), "high": float(high), "n": float(n)}


def bootstrap(top: np.ndarray, bottom: np.ndarray, draws: np.ndarray) -> Figure:
    """A ratio of sums over images, each [N], with its interval; n is the denominator."""
    return figure(_whole(top, bottom), ratio(draws @ top, draws @ bottom), bottom.sum())


def difference(old: tuple[np.ndarray, np.ndarray], new: tuple[np.ndarray, np.ndarray], draws: np.ndarray) -> Figure:
    """`new` minus `old`, both (top, bottom) over the same images: paired, since both meet the same resamples."""
    resampled = ratio(draws @ new[0], draws @ new[1]) - ratio(draws @ old[0], draws @ old[1])
    return figure(_whole(*new) - _whole(*old), resampled, len(old[0]))


T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""Student's t, two-sided 95 %, for 1 to 15 degrees of freedom; beyond that 1.96 + 2.5 / degrees is within 0.01."""


def over_runs(values: Sequence[float]) -> Figure:
    """Mean over runs with Student's 95 % interval; of one run alone the interval is the value."""
    mean, freedom = statistics.fmean(values), len(values) - 1
    if freedom < 1:
        return {"value": mean, "low": mean, "high": mean, "n": 1.0}
    t = T_95[freedom - 1] if freedom <= len(T_95) else 1.96 + 2.5 / freedom
    half = t * statistics.stdev(values) / math.sqrt(len(values))
    return {"value": mean, "low": mean - half, "high": mean + half, "n": float(len(values))}


def _whole(top: np.ndarray, bottom: np.ndarray) -> float:
    return float(ratio(np.array([top.sum()]), np.array([bottom.sum()]))[0])
