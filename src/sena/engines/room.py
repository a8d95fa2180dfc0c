"""Keys and values with room to grow in place.

The library's growing cache copies all keys and values with every token; behind long image prefixes that costs more
than the token. Legend: B rows, H heads of keys and values, T tokens, D width of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer


class RoomyLayer(DynamicLayer):
    """One layer's keys and values [B, H, T, D] of which the first `used` tokens are taken."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, used: int) -> None:
        super().__init__()
        self.keys, self.values, self.used = keys, values, used
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write behind what is there; returns all of it, without a copy."""
        assert self.keys is not None
        assert self.values is not None
        end = self.used + key_states.shape[-2]
        self.keys[:, :, self.used : end] = key_states
        self.values[:, :, self.used : end] = value_states
        self.used = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_seq_length(self) -> int:
        return self.used

    def select(self, rows: torch.Tensor) -> None:
        """Only these rows go on."""
        assert self.keys is not None
        assert self.values is not None
        self.keys, self.values = self.keys[rows], self.values[rows]


Layers = Sequence[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values [H, T, D] of each layer."""


def room(prefixes: Sequence[Layers], lengths: Sequence[int], extra: int) -> Cache:
    """A cache of one row a prefix, all ending at the longest one's length, with room for `extra` tokens behind.

    What lies before a shorter prefix is zero and has to be masked.
    """
    most = max(lengths)
    layers: list[Any] = []
    for number, pair in enumerate(prefixes[0]):
        grown = []
        for side, like in enumerate(pair):
            buffer = like.new_zeros(len(prefixes), like.shape[0], most + extra, like.shape[2])
            for row, (prefix, length) in enumerate(zip(prefixes, lengths, strict=True)):
                buffer[row, :, most - length : most] = prefix[number][side]
            grown.append(buffer)
        layers.append(RoomyLayer(grown[0], grown[1], most))
    return Cache(layers=layers)
