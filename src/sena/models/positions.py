"""Where tokens stand. Most families count tokens; some place a picture's tokens on several axes and are asked for them.

Legend: B rows, T tokens, X axes (time, height, width).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sena.models.encode import Pixels
from sena.models.vlm import VLM


def kinds(vlm: VLM, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """What a family with several axes must be told beside the ids [B, T]: which of them are a picture's. Else nothing.

    Qwen2.5-VL takes its absence for a text without pictures, and gives wrong positions without a word.
    """
    return {"mm_token_type_ids": (ids == vlm.image_id).int()} if vlm.axes_owner is not None else {}


def of_row(vlm: VLM, ids: Sequence[int], pixels: Pixels) -> torch.Tensor | None:
    """The family's own positions of one sequence with one picture, [X, T] on the CPU; None for one that counts."""
    owner = vlm.axes_owner
    if owner is None:
        return None
    row = torch.tensor([list(ids)])
    grids = {name: tensor for name, tensor in pixels.tensors.items() if name.endswith("grid_thw")}
    positions, _ = owner.get_rope_index(row, **kinds(vlm, row), **grids)
    return positions[:, 0]


def of_row_or_count(vlm: VLM, ids: Sequence[int], pixels: Pixels) -> torch.Tensor:
    """`of_row`, or for a family that counts 0, 1, 2, ...: [T]."""
    found = of_row(vlm, ids, pixels)
    return torch.arange(len(ids)) if found is None else found
