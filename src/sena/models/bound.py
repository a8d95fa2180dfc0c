"""A bound on what a picture may cost: families that keep a photograph's proportions give a large one 16,000 tokens."""

from __future__ import annotations

from math import isqrt
from typing import Any

from sena.errors import ModelError
from sena.models.vlm import VLM


def bound(vlm: VLM, most: int | None) -> None:
    """Have no picture take more than `most` tokens; None leaves it as it is. What is saved keeps the bound.

    Qwen's and Mistral's processors shrink a picture, the others cut it into fewer tiles. Marks between rows and tiles
    are not counted. Raises ModelError for a model that gives every picture the same number, and for a bound below the
    least that it can give.
    """
    if most is None:
        return
    processor, images = vlm.processor, vlm.processor.image_processor
    if hasattr(images, "merge_size") and dict(images.size).get("longest_edge"):
        least = _area(images, most)
    elif hasattr(images, "max_patches") and hasattr(processor, "image_seq_length"):
        least = _patches(images, processor.image_seq_length, most)
    elif hasattr(images, "max_image_size") and hasattr(processor, "image_seq_len"):
        least = _tiles(images, processor.image_seq_len, most)
    elif hasattr(images, "image_grid_pinpoints"):
        least = _grids(vlm, most)
    elif hasattr(processor, "spatial_merge_size") and dict(images.size).get("longest_edge"):
        least = _edge(images, processor.patch_size * processor.spatial_merge_size, most)
    else:
        raise ModelError("this model gives every picture the same number of tokens: leave model.picture_tokens out")
    if most < least:
        raise ModelError(f"this model gives a picture at least {least} tokens: raise model.picture_tokens")


# Each of these sets the bound and returns the least number of tokens that the processor can be brought to.


def _area(images: Any, most: int) -> int:
    """Qwen: both edges are areas in pixels."""
    size, area = dict(images.size), most * (images.patch_size * images.merge_size) ** 2
    images.size = {edge: min(size[edge], area) for edge in ("shortest_edge", "longest_edge")}
    return 1


def _patches(images: Any, tile: int, most: int) -> int:
    """InternVL: several tiles come with a thumbnail."""
    images.max_patches = max(min(images.max_patches, most // tile - 1), 1)
    images.min_patches = min(images.min_patches, images.max_patches)
    return tile


def _tiles(images: Any, tile: int, most: int) -> int:
    """Idefics3 and SmolVLM: a square of so many tiles each way, which the longest edge fills, and a small picture."""
    each_way = max(isqrt(max(most // tile - 1, 0)), 1)
    edge = each_way * images.max_image_size["longest_edge"]
    images.size = {"longest_edge": min(dict(images.size)["longest_edge"], edge)}
    return tile


def _edge(images: Any, patch: int, most: int) -> int:
    """Mistral3 and Pixtral: a square of so many patches each way, which the longest edge fills."""
    images.size = {"longest_edge": min(dict(images.size)["longest_edge"], isqrt(most) * patch)}
    return 1


def _grids(vlm: VLM, most: int) -> int:
    """LLaVA-NeXT and LLaVA-OneVision: grids of tiles to choose from, which model and processor both have to know."""
    images, config = vlm.processor.image_processor, vlm.model.config
    side, patch = config.vision_config.image_size, config.vision_config.patch_size
    wide = side // patch
    costs = {  # the small picture, the tiles, and a token behind each row of them
        (rows, columns): wide**2 + rows // side * wide * (columns // side * wide + 1)
        for rows, columns in images.image_grid_pinpoints
    }
    kept = [list(grid) for grid, cost in costs.items() if cost <= most]
    if kept:
        images.image_grid_pinpoints = config.image_grid_pinpoints = kept
    return min(costs.values())
