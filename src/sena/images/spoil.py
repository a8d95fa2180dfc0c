"""Ways to spoil that need to know where in the picture a value stands.

Each is a function of a normalised picture [3, H, W] in float64, a strength in the kind's own unit (`kinds.py`) and the
seed's draws, and gives a new picture of the same shape. What is done along rows and columns alike is done to one and
then the other. Shapes: H rows, W columns, S either of them.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from sena.images.plane import Draws

MASK_CELLS = 16
"""`mask` paints over cells of a grid of this many a side."""


def blur(picture: Tensor, strength: float, draws: Draws) -> Tensor:
    """Gaussian, its standard deviation `strength` percent of the longer side; the edge is drawn out beyond itself."""
    height, width = picture.shape[1:]
    sigma = strength / 100 * max(height, width)
    return _along(picture, _gaussian(height, sigma), _gaussian(width, sigma))


def low_resolution(picture: Tensor, strength: float, draws: Draws) -> Tensor:
    """Averaged to `strength` times fewer pixels a side, at least one, and drawn large again between their centres."""
    height, width = picture.shape[1:]
    rows, columns = (max(1, round(side / strength)) for side in (height, width))
    coarse = _along(picture, _averages(height, rows), _averages(width, columns))
    return _drawn(_drawn(coarse, 1, height, 0, rows), 2, width, 0, columns)


def crop(picture: Tensor, strength: float, draws: Draws) -> Tensor:
    """A window of the picture's own proportions, anywhere in it, drawn large to the full size."""
    left = math.sqrt(1 - strength)
    for axis in (1, 2):
        side = picture.shape[axis]
        picture = _drawn(picture, axis, side, draws.between(0, 1 - left) * side, left * side)
    return picture


def flip(picture: Tensor, strength: float, draws: Draws) -> Tensor:
    """Left for right; with 2 also upside down. Nothing of it is drawn by chance."""
    return picture.flip([2, 1][: int(strength)]) if strength else picture.clone()


def patch_shuffle(picture: Tensor, strength: float, draws: Draws) -> Tensor:
    """Cut into `strength` x `strength` equal patches (no more a side than it has pixels), which change places. What is
    left over right and below stays."""
    patches = min(int(strength), *picture.shape[1:])
    height, width = (side // patches for side in picture.shape[1:])
    area = picture[:, : height * patches, : width * patches]
    cut = area.reshape(3, patches, height, patches, width).permute(1, 3, 0, 2, 4).flatten(0, 1)
    moved = cut[draws.order(patches**2)].unflatten(0, (patches, patches)).permute(2, 0, 3, 1, 4)
    result = picture.clone()
    result[:, : height * patches, : width * patches] = moved.reshape(area.shape)
    return result


def mask(picture: Tensor, strength: float, draws: Draws) -> Tensor:
    """Cells of a 16 x 16 grid in the mean colour (0 when normalised), exactly that share of them."""
    cells = torch.zeros(MASK_CELLS**2, dtype=torch.bool)
    cells[draws.order(len(cells))[: round(strength * len(cells))]] = True
    rows, columns = (torch.arange(side) * MASK_CELLS // side for side in picture.shape[1:])
    return picture.masked_fill(cells.view(MASK_CELLS, MASK_CELLS)[rows][:, columns], 0.0)


def _along(picture: Tensor, rows: np.ndarray, columns: np.ndarray) -> Tensor:
    """Each column of the picture through `rows` [new H, H], each row through `columns` [new W, W]."""
    return torch.from_numpy(rows) @ picture @ torch.from_numpy(columns).T


def _gaussian(side: int, sigma: float) -> np.ndarray:
    """[S, S]: row i holds the weights of all pixels in pixel i, those beyond the edge given to the edge."""
    reach = math.ceil(4 * sigma)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-((offsets / max(sigma, 1e-6)) ** 2) / 2)
    places = np.arange(side)
    matrix = np.zeros((side, side))
    for offset, weight in zip(offsets, weights / weights.sum(), strict=True):
        matrix[places, (places + offset).clip(0, side - 1)] += weight
    return matrix


def _averages(side: int, few: int) -> np.ndarray:
    """[few, S]: each of `few` equal stretches is the mean of the pixels in it, cut pixels by their share."""
    edges = np.arange(few + 1) * side / few
    start, end = edges[:-1, None], edges[1:, None]
    pixels = np.arange(side)
    return np.clip(np.minimum(end, pixels + 1) - np.maximum(start, pixels), 0, None) * few / side


def _drawn(picture: Tensor, axis: int, side: int, start: float, length: float) -> Tensor:
    """The stretch [start, start + length) of an axis drawn out to `side` pixels, linear between centres."""
    last = picture.shape[axis] - 1
    at = (start + (torch.arange(side, dtype=torch.float64) + 0.5) * length / side - 0.5).clamp(0, last)
    lower = at.floor().long()
    share = (at - lower).view([-1 if place == axis else 1 for place in range(3)])
    before, after = picture.index_select(axis, lower), picture.index_select(axis, (lower + 1).clamp(max=last))
    return before * (1 - share) + after * share
