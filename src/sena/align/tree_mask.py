"""What each token of a tree sees, for fused attention on a CPU: by blocks of queries, so that no more is computed.

A dense mask costs the whole square of a tree, whose upper half nobody sees: a token's ancestors stand before it. The
same mask over a block of queries and the keys up to the block's end is exact too, and costs little above half of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional

BLOCK = 192
"""Queries that go through attention together. Measured best, with 128, on 700 to 1,100 tokens (docs/performance.md)."""


class TreeMask(torch.Tensor):
    """A mask [B, 1, T, T] in which no token sees a later one. `scaled_dot_product_attention` goes by blocks with it,
    in whichever family's code it is called, which is why this is a tensor of its own kind, as torch's own
    `CausalBias` is. To everything else it is the tensor that it holds."""

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is functional.scaled_dot_product_attention:
            return _attend(*args, **(kwargs or {}))
        return super().__torch_function__(func, types, args, kwargs)


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attn_mask: torch.Tensor, **settings: Any
) -> torch.Tensor:
    """`scaled_dot_product_attention`: queries [B, heads, T, D], keys and values as many or, with kept ones, more."""
    attend, mask = functional.scaled_dot_product_attention, attn_mask.as_subclass(torch.Tensor)
    length = query.shape[-2]
    if length <= BLOCK or key.shape[-2] != length:  # queries that continue kept keys do not stand at their places
        return attend(query, key, value, mask, **settings)
    parts: list[torch.Tensor] = []
    for start in range(0, length, BLOCK):
        end = min(start + BLOCK, length)
        seen = mask[..., start:end, :end]
        parts.append(attend(query[..., start:end, :], key[..., :end, :], value[..., :end, :], seen, **settings))
    return torch.cat(parts, -2)
