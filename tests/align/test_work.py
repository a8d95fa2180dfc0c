"""Tokens and operations, counted by hand."""

from __future__ import annotations

import pytest
import torch

from sena.align import modes, work
from sena.align.config import LoraConfig
from sena.align.plain import encode_pairs, log_probabilities
from sena.align.tree import count_shared, grow
from sena.align.tree_forward import TreeForward, measure
from sena.models.vlm import VLM
from tests.align.world import open_image, some_pairs


def test_rows() -> None:
    """Rows of 3 and 2 tokens: 5 tokens, which see 1 + 2 + 3 and 1 + 2."""
    assert work.of_rows([3, 2]) == work.Work(5, 9)


def test_tree() -> None:
    """1-2-3, 1-2-4 and 1-5 are the tokens 1, 2, 3, 4, 5 at depths 0, 1, 2, 2, 1: they see 1 + 2 + 3 + 3 + 2 = 11."""
    assert work.of_tree(grow([(1, 2, 3), (1, 2, 4), (1, 5)])) == work.Work(5, 11)


def test_a_batch(tiny: VLM) -> None:
    """One pair: the tree has once what both rows begin with, and neither end token."""
    pair = encode_pairs(tiny, some_pairs(images=1, each=1), open_image)[0]
    prompt, chosen, rejected = len(pair.prompt), len(pair.chosen), len(pair.rejected)
    shared = count_shared(pair.chosen[:-1], pair.rejected[:-1])
    assert measure(log_probabilities, [pair]).tokens == 2 * prompt + chosen + rejected
    assert measure(TreeForward(4096), [pair]).tokens == prompt + chosen - 1 + rejected - 1 - shared


def test_costs(tiny: VLM) -> None:
    """Each of 2 layers of width 32 has 4 x 32 x 32 + 3 x 32 x 64 = 10,240 weights: 6 x 20,480 a token in full training.
    Attention: 12 x 2 layers x 32 channels. Rank 4: 4 x 4 x 64 + 3 x 4 x 96 = 2,176 more a layer, which alone learn:
    4 x (20,480 + 4,352) + 2 x 4,352.
    """
    assert work.costs(modes.prepare_full(tiny).model) == work.Costs(122_880, 768)
    adapted = modes.prepare_lora(tiny, LoraConfig(r=4, alpha=8), 0)
    assert work.costs(adapted.model) == work.Costs(108_032, 768)
    assert work.Costs(10, 3).of(work.Work(2, 5)) == 35


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA A100-SXM4-40GB", 312e12),
        ("Another", None),
    ],
)
def test_peaks(monkeypatch: pytest.MonkeyPatch, name: str, rate: float | None) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    gpu = torch.device("cuda", 0)
    assert work.peak(gpu, torch.bfloat16) == rate
    assert work.peak(gpu, torch.float32) is None
    assert work.peak(torch.device("cpu"), torch.bfloat16) is None
