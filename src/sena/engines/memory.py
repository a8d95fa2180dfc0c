"""How much memory keys and values may take. All sizes follow from the machine and the model, never from what is free
at the moment: the batches hang on them, and with the batches the results to the byte."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from sena.models.vlm import VLM


@dataclass(slots=True)
class Budget:
    """Bytes for the prefixes kept of a window, and bytes for the batch at work."""

    kept: int
    working: int

    def halve(self) -> None:
        self.kept //= 2
        self.working //= 2


def budget(vlm: VLM, cache_gb: float) -> Budget:
    """`cache_gb` split in two equal halves. 0 takes half of what a GPU has beside the weights, or an eighth of the main
    memory, which several workers may have to share."""
    whole = int(cache_gb * 1e9) or _default(vlm)
    return Budget(whole // 2, whole // 2)


def _default(vlm: VLM) -> int:
    if vlm.device.type == "cuda":
        weights = sum(each.numel() * each.element_size() for each in vlm.model.parameters())
        return max(torch.cuda.get_device_properties(vlm.device).total_memory - weights, 0) // 2
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 8


def bytes_per_token(vlm: VLM) -> int:
    """Keys and values of one token over all layers, from the configuration alone."""
    text = vlm.model.config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return 2 * text.num_hidden_layers * heads * width * vlm.dtype.itemsize
