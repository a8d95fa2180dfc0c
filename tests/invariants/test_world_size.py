"""However many processes train together, one model comes out, and none waits for one that has gone.

Ranks are real processes over gloo. Their steps have 4, 4 and 1 pictures, so that of 2 or 4 ranks some have nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from sena.align import modes, reference
from tests.invariants import crew, scenes
from tests.tiny import tiny_llava

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes of every kind of training."""
    place = tmp_path_factory.mktemp("ranks")
    tiny_llava(place / "model")
    tiny_llava(place / "tied", tied=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    scenes.every_kind(place)
    torch.set_num_threads(threads)
    return place


@pytest.fixture(scope="module")
def by_two(place: Path) -> Path:
    play("every_kind", place, 2)
    return place


def play(scene: str, place: Path, size: int) -> None:
    for done in crew.play(scene, place, size):
        assert done.returncode == 0, done.stderr


def steps(place: Path, name: str) -> list[dict[str, Any]]:
    return json.loads((place / f"{name}.json").read_text())


def gaps(place: Path, one: str, other: str) -> tuple[float, float]:
    """The largest gap of any weight, and the largest mean gap of any tensor."""
    first, second = (load_file(place / f"{name}.safetensors") for name in (one, other))
    assert first.keys() == second.keys()
    found = [(first[name].float() - second[name].float()).abs() for name in first]
    return max(float(gap.max()) for gap in found), max(float(gap.mean()) for gap in found)


def assert_same(place: Path, one: str, other: str) -> None:
    """The same curve and weights but for rounding: at a rate of 1e-3, a step missed would show as 1e-3."""
    curves = [[line["loss"] for line in steps(place, name)] for name in (one, other)]
    norms = [[line["grad_norm"] for line in steps(place, name)] for name in (one, other)]
    assert len(curves[0]) == 6
    rest = -len(curves[1])  # one that goes on tells its own steps only
    assert curves[1] == pytest.approx(curves[0][rest:], abs=1e-5)
    assert norms[1] == pytest.approx(norms[0][rest:], rel=1e-4)
    largest, mean = gaps(place, one, other)
    assert largest < 1e-4
    assert mean < 1e-7


@pytest.mark.parametrize("kind", [kind for kind in scenes.KINDS if kind != "eight_bit"])
def test_two_are_one(by_two: Path, kind: str) -> None:
    assert_same(by_two, f"{kind}-1", f"{kind}-2")


@pytest.fixture(scope="module")
def by_four(place: Path) -> Path:
    play("few_kinds", place, 4)
    return place


def test_four_are_one(by_four: Path) -> None:
    for kind in set(scenes.FEW) - {"eight_bit"}:
        assert_same(by_four, f"{kind}-1", f"{kind}-4")
    assert len({(by_four / f"eight_bit-4-rank{rank}.hash").read_text() for rank in range(4)}) == 1


def test_cut_frozen_weights_change_nothing(by_two: Path) -> None:
    """To the bit: what ranks put together before a layer's turn is what they held whole."""
    assert gaps(by_two, "lora-2", "lora_fsdp2-2") == (0, 0)


def test_chance_rounds_alike_on_all_ranks(by_two: Path) -> None:
    """To the bit between ranks. One process has gradients of another rounding in bfloat16, and so other chances."""
    assert (by_two / "eight_bit-2-rank0.hash").read_text() == (by_two / "eight_bit-2-rank1.hash").read_text()
    curves = [[line["loss"] for line in steps(by_two, f"eight_bit-{size}")] for size in (1, 2)]
    assert curves[1] == pytest.approx(curves[0], abs=0.02)
    assert gaps(by_two, "eight_bit-1", "eight_bit-2")[1] < 5e-4


@pytest.mark.parametrize(("kind", "size"), [("tree", 2), ("plain", 2), ("tree", 4)])
def test_references_are_the_same(by_two: Path, by_four: Path, kind: str, size: int) -> None:
    assert by_two == by_four
    one, several = (reference.read(by_two / f"reference-{kind}-{count}") for count in (1, size))
    assert list(one) == list(several)
    for name, each in one.items():
        assert several[name] == pytest.approx(each, abs=1e-4)


def test_shards_are_parts(place: Path) -> None:
    """Of what is cut two ranks hold all numbers once, about half each; adapters are whole on both."""
    play("count_held", place, 2)
    for kind in ("fsdp2", "lora_fsdp2"):
        first, second = (json.loads((place / f"held-{kind}-{rank}.json").read_text()) for rank in (0, 1))
        model = scenes.fresh(place, kind).model
        tower = sum(weight.numel() for weight in modes.tower(model).parameters())
        assert first["cut"] + second["cut"] == sum(weight.numel() for weight in model.parameters()) - tower
        assert abs(first["cut"] - second["cut"]) < 0.01 * first["cut"]
        assert first["whole"] == second["whole"]
        assert (first["whole"] > 0) == (kind == "lora_fsdp2")


def test_speeds_are_of_all_ranks(by_two: Path) -> None:
    """Tokens by pairs, which no clock is in, are the same whoever counted."""
    ratios = [
        [line["tokens_per_second"] / line["pairs_per_second"] for line in steps(by_two, f"plain-{size}")]
        for size in (1, 2)
    ]
    assert ratios[1] == pytest.approx(ratios[0])


def test_what_two_began_one_ends(place: Path) -> None:
    play("stop", place, 2)
    for kind in scenes.STOPPED:
        name = f"{kind}-begun-by-2"
        assert [found.name for found in (place / f"checkpoints-{name}").iterdir()] == ["step-000002"]
        scenes.learn(place, kind, name, scored_by=1)
        assert steps(place, name)[0]["resumed_at"] == 2
        assert_same(place, f"{kind}-1", name)


def test_what_one_began_two_end(place: Path) -> None:
    scenes.stop(place)
    play("go_on", place, 2)
    for kind in scenes.STOPPED:
        assert steps(place, f"{kind}-begun-by-1")[0]["resumed_at"] == 2
        assert_same(place, f"{kind}-1", f"{kind}-begun-by-1")


def test_what_four_began_two_end(place: Path) -> None:
    play("stop", place, 4)
    play("go_on_from_four", place, 2)
    for kind in scenes.STOPPED:
        assert steps(place, f"{kind}-begun-by-4")[0]["resumed_at"] == 2
        assert_same(place, f"{kind}-1", f"{kind}-begun-by-4")


def test_what_goes_wrong_on_one_rank_is_known_to_all(by_two: Path) -> None:
    play("mishaps", by_two, 2)
    first, second = (json.loads((by_two / f"mishaps-{rank}.json").read_text()) for rank in (0, 1))
    assert first["no picture"] == ["SenaError", f"{second['no picture'][1]} (rank 1 of 2)"]
    assert "is gone" in first["no picture"][1]
    assert first["no number"] == second["no number"]
    assert first["no number"] == ["NonFiniteError", "The loss is no number. The pairs that make it so: pair30"]
    loss = steps(by_two, "tree-1")[0]["loss"]
    assert first["no memory"] == second["no memory"] == ["well", f"{loss:.5f} 1"]
    assert second["no memory at all"][0] == "SenaError"
    assert first["no memory at all"][1] == f"{second['no memory at all'][1]} (rank 1 of 2)"
    assert first["other reference"] == second["other reference"]
    assert "The first preference loss is" in first["other reference"][1]
    assert first["no disk"] == ["SenaError", "the disk is full"]
    assert second["no disk"] == ["SenaError", "the disk is full (rank 0 of 2)"]
    assert first["no trees"] == second["no trees"] == ["well", "plain"]


def test_shards_without_memory_end_rather_than_wait(by_two: Path) -> None:
    """In the middle of a layer there is no other way to tell the other ranks. Who starts them goes on with smaller
    batches (tests/rounds/test_launchers.py)."""
    first, second = crew.play("no_memory_for_shards", by_two, 2)
    assert first.returncode != 0
    assert second.returncode != 0
    assert "sena.errors.BatchError: Training runs out of memory" in second.stderr
