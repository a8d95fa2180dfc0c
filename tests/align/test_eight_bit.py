"""8-bit AdamW against the float32 one: the same way but for coarse states, and small updates made by chance."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import torch

from sena.align import eight_bit
from sena.align.config import TrainConfig
from sena.align.eight_bit import AdamW8bit, decode, encode, round_by_chance
from sena.align.optimizer import AdamW, Optimizer
from sena.errors import ModelError, SenaError
from tests.align.test_optimizer import gradients, parameter, weights

CONFIG = TrainConfig()


def uneven(steps: int) -> list[torch.Tensor]:
    """Gradients whose sizes differ by orders of magnitude within a block, as those of real layers do."""
    scale = torch.exp(2 * torch.randn(64, 64, generator=torch.Generator().manual_seed(7)))
    return [gradient * scale for gradient in gradients(steps)]


def movement(make: Callable[[torch.nn.Parameter], Optimizer], rate: float, kind: torch.dtype) -> torch.Tensor:
    """Of weights of size .02 after 100 steps."""
    start = weights().bfloat16().to(kind)
    weight = parameter(start)
    optimizer = make(weight)
    for gradient in uneven(100):
        weight.grad = gradient.to(kind)
        optimizer.step(rate)
    return weight.detach().float() - start.float()


def exact(weight: torch.nn.Parameter) -> Optimizer:
    return AdamW([("w", weight)], CONFIG)


def eight(weight: torch.nn.Parameter) -> Optimizer:
    return AdamW8bit([("w", weight)], CONFIG, seed=0)


def alike(one: torch.Tensor, other: torch.Tensor) -> tuple[float, float]:
    """Cosine, and how long `one` is in lengths of `other`."""
    cosine = torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0)
    return float(cosine), float(one.norm() / other.norm())


def test_follows_float32_adamw() -> None:
    """Float32 weights, so that nothing but the states differs: direction within .98, length within 3 %."""
    found = alike(movement(eight, 1e-3, torch.float32), movement(exact, 1e-3, torch.float32))
    assert found[0] > 0.98
    assert found[1] == pytest.approx(1, abs=0.03)


def test_coding_the_squares_themselves_would_not_follow() -> None:
    """Why their root is coded: without it the direction is at .92."""

    class Squares(AdamW8bit):
        def _update(self, name: str, gradient: torch.Tensor, rate: float) -> None:
            first = decode(self.first[name], self.tables["first"])
            second = decode(self.root[name], self.tables["root"])
            self._add(first, second, gradient)
            self.first[name] = encode(first, self.tables["first"])
            self.root[name] = encode(second, self.tables["root"])
            self._descend(self.parameters[name].detach(), first, second, rate)

    def squares(weight: torch.nn.Parameter) -> Optimizer:
        return Squares([("w", weight)], CONFIG, seed=0)

    assert alike(movement(squares, 1e-3, torch.float32), movement(exact, 1e-3, torch.float32))[0] < 0.95


def test_small_updates_are_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 updates of 2e-6 on bfloat16 weights whose neighbours lie up to 1.2e-4 away. Each weight goes by whole
    neighbours, so single ones differ; what they have in common, the movement along the exact one, is all there.
    Rounded to the nearest it is mostly lost.
    """
    wanted = movement(exact, 2e-6, torch.float32).flatten()

    def share() -> float:
        return float(movement(eight, 2e-6, torch.bfloat16).flatten() @ wanted / (wanted @ wanted))

    assert share() == pytest.approx(1, abs=0.05)
    monkeypatch.setattr(eight_bit, "round_by_chance", lambda exact, draw: exact.bfloat16())
    assert share() < 0.1


def test_rounding_by_chance() -> None:
    """1 + 1/512 lies a quarter of the way from 1 to its neighbour 1 + 1/128: three of four draws give 1. -1 and what
    bfloat16 holds already stay.
    """
    draw = torch.Generator().manual_seed(0)
    found = round_by_chance(torch.full((100_000,), 1 + 1 / 512), draw).float()
    assert set(found.tolist()) == {1.0, 1 + 1 / 128}
    assert float(found.mean()) == pytest.approx(1 + 1 / 512, abs=5e-5)
    down = round_by_chance(torch.full((100_000,), -1 - 1 / 512), draw).float()
    assert float(down.mean()) == pytest.approx(-1 - 1 / 512, abs=5e-5)
    held = torch.tensor([1.0, -1.0, 0.0, -0.0, 0.02, 1e-30]).bfloat16().float()
    assert torch.equal(round_by_chance(held, draw).float().view(torch.int32), held.view(torch.int32))


def test_codes_are_the_nearest_entries_of_the_table() -> None:
    """Searched through in float64: at most one entry apart, where a number lies in the middle of two."""
    numbers = torch.randn(4096, generator=torch.Generator().manual_seed(0))
    table = AdamW8bit([], CONFIG, 0).tables["first"]
    ours = encode(numbers, table)
    blocks = numbers.double().view(-1, eight_bit.BLOCK)
    scales = blocks.abs().max(dim=1).values
    nearest = ((blocks / scales[:, None])[..., None] - table.double()).abs().argmin(dim=-1).flatten()
    torch.testing.assert_close(ours.scales.double(), scales)
    gaps = (ours.codes.int() - nearest.int()).abs()
    assert int(gaps.max()) <= 1
    assert float((gaps > 0).float().mean()) < 0.01
    torch.testing.assert_close(decode(ours, table), numbers, atol=0.06, rtol=0)


def test_a_size_that_is_no_multiple_of_the_block() -> None:
    numbers = torch.randn(3, 100)
    table = AdamW8bit([], CONFIG, 0).tables["first"]
    coded = encode(numbers, table)
    assert (coded.codes.shape, coded.scales.shape) == ((3, 100), (2,))
    torch.testing.assert_close(decode(coded, table), numbers, atol=0.06, rtol=0)
    assert not decode(encode(torch.zeros(300), table), table).any()


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_resumed_is_undisturbed(kind: torch.dtype) -> None:
    """To the bit, into an optimizer that has gone another way, whatever torch's own generator stands at."""

    def go(optimizer: Optimizer, some: list[torch.Tensor]) -> None:
        for gradient in some:
            optimizer.parameters["w"].grad = gradient.to(kind)
            optimizer.step(1e-4)

    whole, first, second = (eight(parameter((weights() * scale).to(kind))) for scale in (1, 1, 3))
    go(whole, uneven(6))
    go(first, uneven(6)[:3])
    go(second, uneven(6)[3:5])
    torch.manual_seed(99)
    second.restore({name: tensor.clone() for name, tensor in first.tensors().items()}, first.steps)
    go(second, uneven(6)[3:])
    assert second.steps == 6
    assert all(torch.equal(second.tensors()[name], tensor) for name, tensor in whole.tensors().items())


def test_the_chance_is_the_seeds() -> None:
    """Other seeds, other draws; and no draw is taken from torch's own generator."""
    before = torch.get_rng_state()
    one, two, three = (
        movement(lambda weight, seed=seed: AdamW8bit([("w", weight)], CONFIG, seed), 2e-6, torch.bfloat16)
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, three)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_rate_zero_moves_no_bit(kind: torch.dtype) -> None:
    start = weights().to(kind)
    start[0, 0] = -0.0
    still, moving = parameter(start), parameter(start)
    optimizer = AdamW8bit([("still", still), ("moving", moving)], TrainConfig(weight_decay=0.1), 0)
    for gradient in gradients(3):
        still.grad, moving.grad = gradient.to(kind), gradient.to(kind)
        optimizer.step(1e-2, others={"still": 0.0})
    assert torch.equal(still.detach().view(torch.uint8), start.view(torch.uint8))
    assert int((moving.detach() != start).sum()) > 4000


def test_clipping_and_the_first_step() -> None:
    """The first mean of a gradient of 3 at a scale of .2 is .1 x .6, the root of its square's sqrt(.001) x .6; the
    first step is as long as the rate. Single numbers are their block's largest, so no coding error comes in."""
    weight = parameter(torch.zeros(1))
    weight.grad = torch.tensor([3.0])
    optimizer = AdamW8bit([("w", weight)], CONFIG, 0)
    optimizer.step(0.5, 0.2)
    assert float(optimizer.first["w"].scales) == pytest.approx(0.06)
    assert float(optimizer.root["w"].scales) == pytest.approx(0.6 * 0.001**0.5)
    assert float(weight.detach()) == pytest.approx(-0.5)


def test_plain_tensors_only() -> None:
    tensors = eight(parameter(weights().bfloat16())).tensors()
    assert {type(tensor) for tensor in tensors.values()} == {torch.Tensor}
    assert {name: tensor.dtype for name, tensor in tensors.items()} == {
        "table/first": torch.float32,
        "table/root": torch.float32,
        "weight/w": torch.bfloat16,
        "first/codes/w": torch.uint8,
        "first/scales/w": torch.float32,
        "root/codes/w": torch.uint8,
        "root/scales/w": torch.float32,
    }


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=r"set model\.dtype=bfloat16"):
        eight(parameter(weights().half()))
    eight_bit.demand.cache_clear()
    monkeypatch.setitem(sys.modules, "bitsandbytes.functional", None)
    with pytest.raises(SenaError, match=r"pip install 'sena\[gpu\]'"):
        eight_bit.demand()
