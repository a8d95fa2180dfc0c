"""Where whole pictures lie in what a processor makes of one: as it is, cut into tiles, or into a row of patches.

A *plane* is one whole picture as the places of its values in the flattened pixels, [copies, 3, H, W]: reading it is one
look-up, writing it another, and neither can put a value elsewhere. Most models see a picture once. Those with tiles see
it twice, small and in tiles; those with frames see it in copies that are equal.
Shapes: T tiles, H rows, W columns, h and w the same of a tile, N patches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

Planes = tuple[Tensor, ...]


def planes(tensors: Mapping[str, Tensor], processor: Any, size: tuple[int, int]) -> Planes:
    """The planes in `tensors["pixel_values"]`; none where the layout is not known.

    `processor` is the image processor that made the tensors, `size` (width, height) that of the picture it was given.
    """
    pixels = tensors["pixel_values"]
    places = torch.arange(pixels.numel()).view(pixels.shape)
    if "image_grid_thw" in tensors:
        return _patches(places, tensors["image_grid_thw"], processor)
    if pixels.ndim == 5 and pixels.shape[0] == 1 and pixels.shape[2] == 3:
        if "image_sizes" in tensors:
            return _any_resolution(places[0], processor, size)
        return _tiles(places[0], size, first=False)
    if pixels.ndim == 4 and pixels.shape[0] > 1 and pixels.shape[1] == 3:
        return _tiles(places, size, first="num_crops" in tensors)
    return whole(pixels, tensors.get("image_sizes"))


def whole(pixels: Tensor, sizes: Tensor | None = None) -> Planes:
    """One plane where pixels are [3, H, W] or [1, 3, H, W], else none. `sizes` [1, 2] are the rows and columns that are
    no padding, which is right and below."""
    if pixels.ndim not in (3, 4) or pixels.shape[-3] != 3 or pixels.shape[:-3].numel() != 1 or not pixels.numel():
        return ()
    places = torch.arange(pixels.numel()).view(1, *pixels.shape[-3:])
    if sizes is None:
        return (places,)
    height, width = sizes[0].tolist()
    return (places[:, :, :height, :width],)


def read(pixels: Tensor, plane: Tensor) -> Tensor:
    """The picture [3, H, W] of a plane."""
    return pixels.flatten()[plane[0]]


def write(pixels: Tensor, plane: Tensor, picture: Tensor) -> None:
    """Put a picture [3, H, W] into contiguous pixels, into each copy."""
    pixels.view(-1)[plane] = picture.expand(plane.shape)


def _patches(places: Tensor, grid: Tensor, processor: Any) -> Planes:
    """Qwen's row of patches [N, 3 x frames x patch x patch]: blocks of merged patches row by row, patches of a block
    row by row, values of a patch by colour, frame, row, column."""
    frames, rows, columns = grid[0].tolist()
    patch, merge, copies = processor.patch_size, processor.merge_size, processor.temporal_patch_size
    if len(grid) != 1 or frames != 1 or places.numel() != rows * columns * 3 * copies * patch**2:
        return ()
    blocks = places.view(rows // merge, columns // merge, merge, merge, 3, copies, patch, patch)
    return (blocks.permute(5, 4, 0, 2, 6, 1, 3, 7).reshape(copies, 3, rows * patch, columns * patch),)


def _any_resolution(places: Tensor, processor: Any, size: tuple[int, int]) -> Planes:
    """LLaVA-NeXT's and OneVision's [T, 3, h, w]: the small picture, then tiles of a canvas that its content does not
    fill: black lies on both sides of it, and is left alone."""
    from transformers.image_processing_utils import select_best_resolution

    tiles, _, tile, _ = places.shape
    height, width = select_best_resolution((size[1], size[0]), processor.image_grid_pinpoints)
    rows, columns = height // tile, width // tile
    if 1 + rows * columns != tiles:
        return ()
    scale = min(width / size[0], height / size[1])
    filled_width, filled_height = min(math.ceil(size[0] * scale), width), min(math.ceil(size[1] * scale), height)
    top, left = (height - filled_height) // 2, (width - filled_width) // 2
    canvas = _joined(places[1:], rows, columns)
    return places[:1], canvas[:, :, top : top + filled_height, left : left + filled_width]


def _tiles(places: Tensor, size: tuple[int, int], first: bool) -> Planes:
    """Tiles [T, 3, h, w] that fill their canvas, the small picture `first` (Gemma's pan and scan) or last (Idefics,
    SmolVLM, InternVL); a single one is the picture."""
    if len(places) == 1:
        return (places,)
    small, rest = (places[:1], places[1:]) if first else (places[-1:], places[:-1])
    rows, columns = _grid(len(rest), size)
    return small, _joined(rest, rows, columns)


def _grid(tiles: int, size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of so many tiles: no tensor tells them, but processors choose those nearest to the picture's
    proportions, or such that no others come nearer."""
    wanted = math.log(size[0] / size[1])
    pairs = [(tiles // columns, columns) for columns in range(1, tiles + 1) if tiles % columns == 0]
    return min(pairs, key=lambda pair: abs(math.log(pair[1] / pair[0]) - wanted))


def _joined(tiles: Tensor, rows: int, columns: int) -> Tensor:
    """[rows x columns, 3, h, w], row by row, as one [1, 3, H, W]."""
    _, colours, height, width = tiles.shape
    grid = tiles.reshape(rows, columns, colours, height, width).permute(2, 0, 3, 1, 4)
    return grid.reshape(1, colours, rows * height, columns * width)
