"""A picture as the kinds of `spoil.py` and `colour.py` want it: one plane, in float64, with a seed's random numbers.

Shapes: H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sena.errors import SenaError
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
Way = Callable[[Tensor, Corruption, Colours | None], Tensor]


def on_plane(spoil: Spoil) -> Way:
    """`spoil` for pixels [3, H, W] or [1, 3, H, W] in float32. Computed in float64, so that the last rounding hides
    what machines add up differently. Raises SenaError for pixels of another shape."""

    def spoiled(pixels: Tensor, corruption: Corruption, colours: Colours | None) -> Tensor:
        if pixels.ndim not in (3, 4) or pixels.shape[-3] != 3 or pixels.shape[:-3].numel() != 1 or not pixels.numel():
            raise SenaError(
                f"{corruption.kind} wants one whole picture of 3 colours, and this model takes pixels of shape "
                f"{list(pixels.shape)}: set corruption.kind to diffusion, no_image or other_image"
            )
        picture = pixels.reshape(pixels.shape[-3:]).double()
        result = spoil(picture, corruption.strength, Draws(corruption.seed))
        return result.float().reshape(pixels.shape).contiguous()

    return spoiled


def on_colours(spoil: Spoil) -> Way:
    """The same for a `spoil` of colours from 0 to 1. Raises TypeError where it is not told how the model normalises."""

    def spoiled(pixels: Tensor, corruption: Corruption, colours: Colours | None) -> Tensor:
        if colours is None:
            raise TypeError(f"{corruption.kind} wants the model's Colours, to know black from white")
        known = colours

        def between(picture: Tensor, strength: float, draws: Draws) -> Tensor:
            return known.seen(spoil(known.real(picture), strength, draws))

        return on_plane(between)(pixels, corruption, colours)

    return spoiled
