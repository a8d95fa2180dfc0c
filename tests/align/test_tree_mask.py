"""Attention by blocks is attention under the dense mask, and computes nothing for what comes later."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention as attend

from sena.align import forest, tree_mask
from sena.align.tree_forward import attention_mask, lay_out
from tests.align.test_tree import pair


class Result(NamedTuple):
    out: torch.Tensor
    gradients: tuple[torch.Tensor, ...]


def states(length: int, batch: int = 2) -> list[torch.Tensor]:
    """Queries, keys and values [batch, heads, length, 8], float64."""
    made = torch.Generator().manual_seed(length)
    return [torch.randn(batch, 3, length, 8, dtype=torch.float64, generator=made).requires_grad_() for _ in range(3)]


def measure(given: list[torch.Tensor], mask: torch.Tensor, **settings: object) -> Result:
    out = attend(*given, attn_mask=mask, **settings)  # pyright: ignore
    weight = torch.arange(out.numel(), dtype=out.dtype).reshape(out.shape).cos()
    return Result(out, torch.autograd.grad((out * weight).sum(), given))


def forest_mask(tokens: int) -> torch.Tensor:
    """Of two trees of one image each, the first one with two prompts of `tokens` tokens behind a common half."""
    half = list(range(10, 10 + tokens // 2))
    first = forest.plant([pair("a", [*half, 7, *half], [4, 2], [5, 6, 2]), pair("a", [*half, 8, *half], [9, 2], [2])])
    second = forest.plant([pair("b", half, [4, 2], [5, 2])])
    return lay_out([first, second], pad=0).sees


@pytest.mark.parametrize("tokens", [40, 90, 130, 191])
def test_blocks_are_the_dense_mask(tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_mask, "BLOCK", 48)
    sees = forest_mask(tokens)
    given = states(sees.shape[-1])
    dense = measure(given, sees[:, None])
    blocks = measure(given, attention_mask(sees, "sdpa", torch.float64), scale=None)
    assert type(blocks.out) is torch.Tensor
    torch.testing.assert_close(blocks.out, dense.out, rtol=0, atol=1e-12)
    for one, other in zip(blocks.gradients, dense.gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_shared_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer heads of keys than of queries, as torch itself repeats them."""
    monkeypatch.setattr(tree_mask, "BLOCK", 48)
    sees = forest_mask(90)
    query, key, value = states(sees.shape[-1])
    given = [query, key[:, :1], value[:, :1]]
    dense = attend(*given, attn_mask=sees[:, None], enable_gqa=True)
    blocks = attend(*given, attn_mask=attention_mask(sees, "sdpa", torch.float64), enable_gqa=True)
    torch.testing.assert_close(blocks, dense, rtol=0, atol=1e-12)


def test_what_comes_later_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """NaN among the last keys reach no query of an earlier block; under the dense mask they reach all."""
    monkeypatch.setattr(tree_mask, "BLOCK", 48)
    sees = forest_mask(130)
    query, key, value = (each.detach() for each in states(sees.shape[-1]))
    last = (sees.shape[-1] - 1) // 48 * 48
    value[:, :, last:] = torch.nan
    assert attend(query, key, value, attn_mask=sees[:, None]).isnan().all()
    out = attend(query, key, value, attn_mask=attention_mask(sees, "sdpa", torch.float64))
    assert not out[:, :, :last].isnan().any()


def test_a_mask_over_kept_keys_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_mask, "BLOCK", 48)
    query, key, value = states(130)
    mask = torch.ones(2, 1, 130, 130, dtype=torch.bool).tril()
    held = mask.as_subclass(tree_mask.TreeMask)[:, :, -60:]
    found = attend(query[:, :, -60:], key, value, attn_mask=held)
    torch.testing.assert_close(found, attend(query[:, :, -60:], key, value, attn_mask=mask[:, :, -60:]))


def test_only_a_cpu_goes_by_blocks() -> None:
    """No GPU was asked, so there the mask is the dense one."""
    sees = torch.ones(1, 4, 4, dtype=torch.bool).tril()
    assert type(attention_mask(sees, "sdpa", torch.float32)) is tree_mask.TreeMask
    assert type(attention_mask(sees.to("meta"), "sdpa", torch.float32)) is torch.Tensor
    assert type(attention_mask(sees, "eager", torch.float32)) is torch.Tensor
