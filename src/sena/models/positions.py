"""Where tokens stand, and what they are. Most families count tokens and need no more; some place a picture's tokens on
several axes and are asked for them, some have to be told which tokens may see what comes behind them.

Legend: B rows, T tokens, X axes (time, height, width).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sena.models import families
from sena.models.encode import Pixels
from sena.models.vlm import VLM


def kinds(vlm: VLM, ids: torch.Tensor, answers: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    """What a family must be told beside the ids [B, T]: which of them are a picture's, or an answer's. Most: nothing.

    `answers` [B, T] is true at tokens of answers; without it all are a prompt's. Not told, Qwen2.5-VL takes all for
    text and gives wrong positions, and Gemma 3 and PaliGemma read pictures from left to right, both without a word.
    """
    pictures = (ids == vlm.image_id).int()
    if vlm.axes_owner is not None:
        return {"mm_token_type_ids": pictures}
    family = families.find(vlm.family)
    if family is None or not family.told:
        return {}
    if family.told == "picture":
        return {"token_type_ids": pictures}
    return {"token_type_ids": torch.zeros_like(pictures) if answers is None else answers.int()}


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
