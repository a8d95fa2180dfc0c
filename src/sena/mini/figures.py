"""Metrics of the benchmark `mini`, with intervals: images are resampled, all that belongs to an image together.

Every metric is a sum over images divided by another sum over images. Shapes: N images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sena.stats import Figure, bootstrap, difference, resampling

if TYPE_CHECKING:
    from sena.mini.bench import Record

Sums = dict[str, tuple[np.ndarray, np.ndarray]]


def sums(records: Sequence[Record]) -> Sums:
    """Numerator and denominator of each metric, float64 [N] each."""
    one = [1.0] * len(records)
    wrong = [sum(not true for _, true, _ in record.mentions) for record in records]
    right = [sum(true for _, true, _ in record.mentions) for record in records]
    described = [float(record.length > 0) for record in records]
    table: dict[str, tuple[Sequence[float], Sequence[float]]] = {
        "chair_i": (wrong, [a + b for a, b in zip(wrong, right, strict=True)]),
        "chair_s": ([float(count > 0) for count in wrong], one),
        "coverage": ([record.covered for record in records], [record.truths for record in records]),
        "attribute": ([record.colours_right for record in records], [record.colours for record in records]),
    }
    for split in ("random", "popular", "adversarial"):
        table[f"pope_{split}"] = _answered(records, (split,))
    table["vqa"] = _answered(records, ("vqa",))
    table["parsed"] = ([float(record.parsed) for record in records], one)
    table["length"] = ([record.length for record in records], one)
    table["wrong_mentions"], table["true_mentions"] = (wrong, one), (right, one)
    table["yes_ratio"] = _yes(records)
    if not any(described):  # a blind run has answers only
        table = {name: pair for name, pair in table.items() if name.startswith(("pope_", "vqa", "yes_"))}
    return {name: (np.array(top, float), np.array(bottom, float)) for name, (top, bottom) in table.items()}


def _answered(records: Sequence[Record], splits: tuple[str, ...]) -> tuple[list[float], list[float]]:
    """Right answers and questions of some splits, per record."""
    graded = [[truth == reply for split, _, _, truth, reply in record.answers if split in splits] for record in records]
    return [float(sum(marks)) for marks in graded], [float(len(marks)) for marks in graded]


def _yes(records: Sequence[Record]) -> tuple[list[float], list[float]]:
    said = [[reply == "yes" for split, _, _, _, reply in record.answers if split != "vqa"] for record in records]
    return [float(sum(marks)) for marks in said], [float(len(marks)) for marks in said]


def summarise(records: Sequence[Record], seed: int = 0) -> dict[str, Figure]:
    """Every metric of a run: value, low, high (95 %), n."""
    if not records:
        return {}
    draws = resampling(len(records), seed)
    return {name: bootstrap(top, bottom, draws) for name, (top, bottom) in sums(records).items()}


def paired(before: Sequence[Record], after: Sequence[Record]) -> list[tuple[Record, Record]]:
    """The records of the same images, in the order of `before`."""
    later = {record.id: record for record in after}
    return [(record, later[record.id]) for record in before if record.id in later]


def compare(before: Sequence[Record], after: Sequence[Record], seed: int = 0) -> dict[str, Figure]:
    """After minus before for every metric, paired by image, with its 95 % interval; n is the number of images."""
    pairs = paired(before, after)
    if not pairs:
        return {}
    draws = resampling(len(pairs), seed)
    old, new = sums([a for a, _ in pairs]), sums([b for _, b in pairs])
    if "chair_i" in old and "chair_i" in new:
        old["chair_i_equal"], new["chair_i_equal"] = _equal_sums(pairs)
    return {name: difference(old[name], new[name], draws) for name in old if name in new}


def _equal_sums(pairs: list[tuple[Record, Record]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Wrong and all mentions of both records of each pair, cut to the words of the shorter description."""
    result = []
    for side in (0, 1):
        wrong, every = [], []
        for pair in pairs:
            limit = min(pair[0].length, pair[1].length)
            kept = [true for _, true, end in pair[side].mentions if end <= limit]
            wrong.append(sum(not true for true in kept))
            every.append(len(kept))
        result.append((np.array(wrong, float), np.array(every, float)))
    return result


def equal_length(before: Sequence[Record], after: Sequence[Record], seed: int = 0) -> tuple[Figure, Figure]:
    """CHAIR_i of two models at equal length: in each image both descriptions end where the shorter one does."""
    pairs = paired(before, after)
    draws = resampling(len(pairs), seed)
    old, new = _equal_sums(pairs)
    return bootstrap(*old, draws), bootstrap(*new, draws)
