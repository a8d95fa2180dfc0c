"""How much a corruption spoils, in figures with 95 % intervals over images, and which strength they speak for. Pure.

Every figure is a sum over images divided by another, so that images, each with all its answers, are what is resampled.
Shapes: I images, S resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sena.stats import Figure, bootstrap, resampling
from sena.sweeps.asking import Cell, Clean, Spoiled
from sena.text import normalise

PARTS = ("description", "answer")
LEAST_DIFFERENT = 0.5
LENGTHS = (0.5, 2.0)
MOST_EMPTY = 0.05
RULE = (
    f"the weakest strength at which at least {LEAST_DIFFERENT:.0%} of the texts differ, descriptions and answers each "
    f"have {LENGTHS[0]:g} to {LENGTHS[1]:g} times their length, and at most {MOST_EMPTY:.0%} are empty"
)
Figures = dict[str, Figure]
"""`differ`, `empty` (shares of the answers), `gap` (nats an answer), `gap_token` (nats a token of it), `length` (how
many times as long)."""


@dataclass(frozen=True, slots=True)
class Spoiling:
    """What a cell did to the descriptions, to the answers, and to `all`."""

    cell: Cell
    figures: Mapping[str, Figures]

    @property
    def is_fit(self) -> bool:
        """Whether it fulfils RULE."""
        every = self.figures["all"]
        keeps = all(LENGTHS[0] <= self.figures[part]["length"]["value"] <= LENGTHS[1] for part in PARTS)
        return every["differ"]["value"] >= LEAST_DIFFERENT and every["empty"]["value"] <= MOST_EMPTY and keeps


def spoiling(clean: Sequence[Clean], spoiled: Sequence[Spoiled], cell: Cell) -> Spoiling:
    """The figures of a cell. Answers are told apart as the filters do: up to case, spaces, quotes and end marks."""
    by_id = {each.id: each for each in clean}
    images = sorted({each.image_id for each in clean})
    draws = resampling(len(images))
    parts = {part: [each for each in spoiled if each.kind == part] for part in PARTS} | {"all": list(spoiled)}
    return Spoiling(cell, {part: _figures(each, by_id, images, draws) for part, each in parts.items()})


def _figures(
    spoiled: Sequence[Spoiled], clean: Mapping[str, Clean], images: Sequence[str], draws: np.ndarray
) -> Figures:
    place = {image: number for number, image in enumerate(images)}
    where = [place[each.image_id] for each in spoiled]

    def over_images(values: Sequence[float]) -> np.ndarray:
        return np.bincount(where, weights=np.array(values, dtype=float), minlength=len(images))

    before = [clean[each.id] for each in spoiled]
    pairs = list(zip(before, spoiled, strict=True))
    count = over_images([1.0] * len(pairs))
    gap = over_images([old.total - new.total for old, new in pairs])
    tops_and_bottoms = {
        "differ": (over_images([normalise(old.answer) != normalise(new.answer) for old, new in pairs]), count),
        "empty": (over_images([not normalise(new.answer) for _, new in pairs]), count),
        "gap": (gap, count),
        "gap_token": (gap, over_images([old.tokens for old in before])),
        "length": (
            over_images([len(new.answer) for _, new in pairs]),
            over_images([len(old.answer) for old in before]),
        ),
    }
    return {name: bootstrap(top, bottom, draws) for name, (top, bottom) in tops_and_bottoms.items()}


def defaults(found: Sequence[Spoiling]) -> dict[str, float | None]:
    """The strength that RULE names for each kind, None where no tried one fulfils it."""
    kinds = {each.cell.kind: None for each in found}
    fit = {
        kind: sorted(each.cell.strength for each in found if each.cell.kind == kind and each.is_fit) for kind in kinds
    }
    return {kind: strengths[0] if strengths else None for kind, strengths in fit.items()}
