"""How much a batch gives the language model to do, and how much of a GPU's peak that is.

Counted are the matrix products of the language model's layers and of its attention; a multiplication and the addition
behind it are two operations. A token takes 2 operations a weight forward and 2 backward to what came in, and 2 more for
each weight that learns: 6 N when all N do, about 4 N with adapters. A token that sees another one costs attention 4
operations a layer and channel forward (scores, values) and 8 backward. Vision tower, projector, head, padding, what a
dense mask computes in vain and what checkpointing computes twice are left out, so `mfu` is a lower bound.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch

from sena.align import modes
from sena.align.tree import Tree
from sena.models.quantize import count

TERA = 1e12
PEAKS = {"B200": 2250, "H200": 989, "H100 PCIe": 756, "H100": 989, "A100": 312, "L40S": 362, "RTX 4090": 165}
"""Tera operations a second in 16 bits without sparsity, from the makers' data sheets; the first name that fits."""


class Work(NamedTuple):
    """Tokens through the language model, padding left out, and the sum over them of how many tokens each sees."""

    tokens: int
    seen: int


class Costs(NamedTuple):
    """Operations, forward and backward, for each token and for each token that one sees."""

    token: int
    seen: int

    def of(self, work: Work) -> int:
        return self.token * work.tokens + self.seen * work.seen


def of_rows(lengths: list[int]) -> Work:
    """Rows of `lengths` tokens; the token at place n sees n + 1."""
    return Work(sum(lengths), sum(length * (length + 1) // 2 for length in lengths))


def of_tree(tree: Tree) -> Work:
    """A token at place k is seen by itself and its descendants, up to `until[k]`."""
    return Work(len(tree.ids), sum(until - place for place, until in enumerate(tree.until)))


def total(parts: Iterable[Work]) -> Work:
    columns = zip(Work(0, 0), *parts, strict=True)
    return Work(*(sum(column) for column in columns))


def costs(model: Any) -> Costs:
    """What the language model of `model` costs in training, adapters included."""
    tongue = modes.tongue(model)
    matrices = [
        weight
        for module in tongue.modules()
        if not isinstance(module, torch.nn.Embedding)
        for weight in module.parameters(recurse=False)
        if weight.ndim == 2
    ]
    learning = sum(count(weight) for weight in matrices if weight.requires_grad)
    text = model.config.get_text_config()
    heads = text.num_attention_heads
    channels = heads * (getattr(text, "head_dim", None) or text.hidden_size // heads)
    return Costs(4 * sum(count(weight) for weight in matrices) + 2 * learning, 12 * text.num_hidden_layers * channels)


def peak(device: torch.device, dtype: torch.dtype) -> float | None:
    """Operations a second that the device can do at most, where that is known: some GPUs, in 16 bits."""
    if device.type != "cuda" or dtype.itemsize != 2:
        return None
    name = torch.cuda.get_device_name(device)
    return next((rate * TERA for known, rate in PEAKS.items() if known in name), None)
