"""A picture as the kinds of `spoil.py` and `colour.py` want it: one plane, in float64, with a seed's random numbers.

Shapes: H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sena.images import layout
from sena.images.layout import Planes
from sena.records import Corruption


class Draws:
    """Random numbers of a seed, the same on every machine: NumPy promises the raw stream of PCG64 for good (NEP 19)."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * (int(self._bits.random_raw()) >> 11) * 2.0**-53

    def chance(self, share: float) -> bool:
        return self.between(0, 1) < share

    def order(self, count: int) -> Tensor:
        """A permutation of `count` places."""
        return torch.from_numpy(np.argsort(self._bits.random_raw(count), kind="stable"))


@dataclass(frozen=True, slots=True)
class Colours:
    """How a model normalises: per channel, (colour - mean) / std with colours from 0 (black) to 1 (white)."""

    mean: Sequence[float]
    std: Sequence[float]

    def seen(self, picture: Tensor) -> Tensor:
        """Colours as the model takes them."""
        return (picture - self._planes(self.mean, picture)) / self._planes(self.std, picture)

    def real(self, picture: Tensor) -> Tensor:
        """What the model takes as colours."""
        return picture * self._planes(self.std, picture) + self._planes(self.mean, picture)

    def _planes(self, values: Sequence[float], picture: Tensor) -> Tensor:
        return torch.tensor(tuple(values), dtype=picture.dtype).view(3, 1, 1)


Spoil = Callable[[Tensor, float, Draws], Tensor]
Way = Callable[[Tensor, Corruption, Planes, Colours | None], Tensor]


def on_plane(spoil: Spoil) -> Way:
    """`spoil` done to every plane of the pixels, each time with the same draws, so that a picture that the model sees
    twice is spoiled alike. Computed in float64, so that the last rounding hides what machines add up differently."""

    def spoiled(pixels: Tensor, corruption: Corruption, planes: Planes, colours: Colours | None) -> Tensor:
        result = pixels.clone(memory_format=torch.contiguous_format)
        for plane in planes:
            picture = spoil(layout.read(pixels, plane).double(), corruption.strength, Draws(corruption.seed))
            layout.write(result, plane, picture.float())
        return result

    return spoiled


def on_colours(spoil: Spoil) -> Way:
    """The same for a `spoil` of colours from 0 to 1. Raises TypeError where it is not told how the model normalises."""

    def spoiled(pixels: Tensor, corruption: Corruption, planes: Planes, colours: Colours | None) -> Tensor:
        if colours is None:
            raise TypeError(f"{corruption.kind} wants the model's Colours, to know black from white")
        known = colours

        def between(picture: Tensor, strength: float, draws: Draws) -> Tensor:
            return known.seen(spoil(known.real(picture), strength, draws))

        return on_plane(between)(pixels, corruption, planes, colours)

    return spoiled
