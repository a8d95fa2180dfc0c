"""A bound on what a picture may cost: families that keep a photograph's proportions give a large one 16,000 tokens."""

from __future__ import annotations

from typing import Any

from sena.errors import ModelError


def bound(processor: Any, most: int | None) -> None:
    """Have `processor` give no picture more than `most` tokens; None leaves it as it is. What is saved keeps the bound.

    Qwen's processors shrink a picture to an area, InternVL's cut it into fewer tiles. Raises ModelError for a processor
    that gives every picture the same number, and for a bound below the least that it can give.
    """
    if most is None:
        return
    images = processor.image_processor
    size = dict(images.size)
    if hasattr(images, "merge_size") and size.get("longest_edge"):  # both edges are areas in pixels
        least, area = 1, most * (images.patch_size * images.merge_size) ** 2
        images.size = {edge: min(size[edge], area) for edge in ("shortest_edge", "longest_edge")}
    elif hasattr(images, "max_patches") and hasattr(processor, "image_seq_length"):
        least, tiles = processor.image_seq_length, most // processor.image_seq_length
        images.max_patches = max(min(images.max_patches, tiles - 1), 1)  # several tiles come with a thumbnail
        images.min_patches = min(images.min_patches, images.max_patches)
    else:
        raise ModelError("this model gives every picture the same number of tokens: leave model.picture_tokens out")
    if most < least:
        raise ModelError(f"this model gives a picture at least {least} tokens: raise model.picture_tokens")
