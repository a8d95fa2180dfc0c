"""Intervals for benchmarks: images are resampled, all that belongs to an image together.

A metric is a sum over images divided by another sum over images, so one matrix of resampling weights serves them all.
Shapes: N images, S resamples.
"""

from __future__ import annotations

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


def _whole(top: np.ndarray, bottom: np.ndarray) -> float:
    return float(ratio(np.array([top.sum()]), np.array([bottom.sum()]))[0])
