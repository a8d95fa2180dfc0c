"""Positions of families that count, and of one that places pictures on axes."""

from __future__ import annotations

import torch

from sena.models import positions
from sena.models.encode import Pixels
from sena.models.vlm import VLM
from tests.align import families


def test_most_families_count(tiny: VLM) -> None:
    assert positions.kinds(tiny, torch.tensor([[1, 3, 5]])) == {}
    assert positions.of_row(tiny, [1, 3, 5], Pixels({}, "")) is None


def test_three_axes() -> None:
    """Two words and a mark (0 to 2), a picture of 2 by 3 tokens from 3 on, then a mark and a word.

    Time stands still at 3, height is 3 or 4, width 3 to 5. Text goes on behind the picture's longer side: 3 + 3 = 6.
    """
    vlm, pairs = families.make("qwen2_5_vl")
    ids = [1, 7, families.START, *[families.IMAGE] * 6, families.STOP, 8]
    assert positions.kinds(vlm, torch.tensor([ids]))["mm_token_type_ids"].tolist() == [[0] * 3 + [1] * 6 + [0] * 2]
    found = positions.of_row(vlm, ids, pairs[0].pixels)
    assert found is not None
    assert found.tolist() == [
        [0, 1, 2, 3, 3, 3, 3, 3, 3, 6, 7],
        [0, 1, 2, 3, 3, 3, 4, 4, 4, 6, 7],
        [0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7],
    ]
