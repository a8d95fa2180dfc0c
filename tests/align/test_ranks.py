"""Sharing out, by hand. What several processes do together is in tests/invariants/test_world_size.py."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sena.align import parallel, plain, sharing
from sena.align.ranks import ALONE, here, is_launched, share
from sena.align.tree_forward import TreeForward, measure
from sena.models.vlm import VLM
from tests.align.world import open_image, some_pairs


def test_the_dearest_first_each_to_whom_has_least() -> None:
    """5 to the first, 4 to the second, 3 to the second's 4 as it has less than 5, then 2 to the first's 5: 7 and 7."""
    assert share({"a": 2, "b": 3, "c": 4, "d": 5}, 2) == [["d", "a"], ["c", "b"]]


def test_equal_costs_go_by_name_and_some_get_none() -> None:
    assert share({"b": 1, "a": 1}, 4) == [["a"], ["b"], [], []]
    assert share({}, 2) == [[], []]


def test_cost_of_a_tree_and_of_rows() -> None:
    """A picture of 100; prompts of 12 bytes (4 tokens); "no" and "green" are 1 and 2, "ok" and "a red cup" 1 and 3.

    As a tree: 100 + 4 + (1 + 2) + (1 + 3) = 111. As four rows: 4 * 104 + 7 = 423.
    """
    texts = ("no", "green"), ("ok", "a red cup")
    pairs = [
        replace(pair, prompt="Describe it.", chosen=chosen, rejected=rejected)
        for pair, (chosen, rejected) in zip(some_pairs(images=1), texts, strict=True)
    ]
    assert sharing.cost(pairs, 100, is_tree=True) == 111
    assert sharing.cost(pairs, 100, is_tree=False) == 423


@pytest.mark.parametrize("size", [1, 2, 3, 16])
def test_every_pair_has_one_rank_and_an_images_pairs_the_same(size: int) -> None:
    pairs = some_pairs(images=7, each=3)
    parts = [sharing.numbers_of(pairs, rank, size, 10, True) for rank in range(size)]
    assert sorted(number for part in parts for number in part) == list(range(len(pairs)))
    owners = {(pairs[number].image_id, rank) for rank, part in enumerate(parts) for number in part}
    assert len(owners) == 7
    assert all(part == sorted(part) for part in parts)


def test_shares_are_even_in_tokens(tiny: VLM) -> None:
    """Of what the language model really gets, no rank has a quarter more than another one."""
    pairs = some_pairs(images=16, each=3)
    picture = sharing.picture_tokens(tiny, pairs, open_image)
    assert picture == 4 + len(b"<image>\n") - len(b"<image>")  # 2 x 2 patches, and the line's end behind them
    encoded = plain.encode_pairs(tiny, pairs, open_image)
    loads = []
    for rank in range(4):
        own = [encoded[number] for number in sharing.numbers_of(pairs, rank, 4, picture, True)]
        loads.append(measure(TreeForward(4096), own).tokens)
    assert max(loads) < 1.25 * min(loads)


@pytest.mark.parametrize(("rows", "sizes"), [(8, [2, 2, 2, 2]), (5, [2, 2, 1, 0]), (1, [1, 0, 0, 0])])
def test_rows_of_shards(rows: int, sizes: list[int]) -> None:
    whole = torch.arange(3 * rows).view(rows, 3)
    parts = [parallel.own_rows(whole, rank, 4) for rank in range(4)]
    assert [len(part) for part in parts] == sizes
    assert torch.equal(torch.cat(parts), whole)


def test_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One process hears itself, and its errors come as they are."""
    assert here() is ALONE
    assert ALONE.gather({"a": 1}) == [{"a": 1}]
    assert ALONE.of_first(lambda: 3) == 3
    rows = torch.rand(2, 3)
    assert ALONE.rows(rows, [0, 1], 2) is rows
    with pytest.raises(ZeroDivisionError):
        ALONE.together(lambda: 1 / 0)
    assert not is_launched()
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert is_launched()


def test_replicas_that_drift_are_found(tiny: VLM) -> None:
    """Lengths of gradients are one but for rounding; the first rank's is taken. Of shards they add up: 3, 4 -> 5."""
    held = parallel.Replicas(tiny, ALONE)
    assert held.norm([2.0, 2.000001]) == 2.0
    assert held.norm([0.0, 0.0]) == 0.0
    with pytest.raises(Exception, match="their models are not the same"):
        held.norm([2.0, 2.1])
    assert parallel.Shards.norm(held, [3.0, 4.0]) == 5.0  # type: ignore[arg-type]
