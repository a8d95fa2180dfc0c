"""AdamW against torch's own, and small updates on bfloat16 weights."""

from __future__ import annotations

import pytest
import torch

from sena.align.config import TrainConfig
from sena.align.optimizer import AdamW, clip_scale


def gradients(steps: int, seed: int = 1) -> list[torch.Tensor]:
    """A steady direction with noise around it."""
    generator = torch.Generator().manual_seed(seed)
    steady = torch.randn(64, 64, generator=generator)
    return [steady + 0.5 * torch.randn(64, 64, generator=generator) for _ in range(steps)]


def weights() -> torch.Tensor:
    return torch.randn(64, 64, generator=torch.Generator().manual_seed(0)) * 0.02


def parameter(values: torch.Tensor) -> torch.nn.Parameter:
    return torch.nn.Parameter(values.clone())


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_equals_torch(decay: float) -> None:
    ours, theirs = parameter(weights()), parameter(weights())
    mine = AdamW([("w", ours)], TrainConfig(weight_decay=decay))
    other = torch.optim.AdamW([theirs], lr=1e-3, weight_decay=decay)
    for gradient in gradients(20):
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        mine.step(1e-3)
        other.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


def moved(master: bool) -> torch.Tensor:
    """Movement of bfloat16 weights after 50 steps of 2e-6, with our master copies or stepped by torch as they are."""
    weight = parameter(weights().bfloat16())
    optimizer = (
        AdamW([("w", weight)], TrainConfig()) if master else torch.optim.AdamW([weight], lr=2e-6, weight_decay=0)
    )
    for gradient in gradients(50):
        weight.grad = gradient.bfloat16()
        optimizer.step(2e-6) if isinstance(optimizer, AdamW) else optimizer.step()
    place = optimizer.masters["w"] if isinstance(optimizer, AdamW) else weight.detach()
    return place.float() - weights().bfloat16().float()


def movement_in_float32() -> torch.Tensor:
    weight = parameter(weights().bfloat16().float())
    optimizer = AdamW([("w", weight)], TrainConfig())
    for gradient in gradients(50):
        weight.grad = gradient.clone()
        optimizer.step(2e-6)
    return weight.detach() - weights().bfloat16().float()


def alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    cosine = torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0)
    return bool(cosine > 0.95) and 0.9 < float(one.norm() / other.norm()) < 1.1


def test_master_copies_move_as_float32_does() -> None:
    """The masters are compared, since they hold the movement. Rounded to bfloat16 in the model it can only be none or
    whole neighbours: cosine .90 at this size, where stepping the bfloat16 weights themselves leaves .18.
    """
    assert alike(moved(master=True), movement_in_float32())


def test_without_master_copies_the_same_test_fails() -> None:
    assert not alike(moved(master=False), movement_in_float32())


def test_model_weights_are_the_masters_rounded() -> None:
    weight = parameter(weights().bfloat16())
    optimizer = AdamW([("w", weight)], TrainConfig())
    weight.grad = gradients(1)[0].bfloat16()
    optimizer.step(1e-2)
    assert torch.equal(weight, optimizer.masters["w"].bfloat16())
    assert optimizer.masters["w"].dtype == torch.float32


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_rate_zero_moves_no_bit(kind: torch.dtype) -> None:
    start = weights().to(kind)
    start[0, 0] = -0.0
    weight = parameter(start)
    optimizer = AdamW([("w", weight)], TrainConfig(weight_decay=0.1))
    for gradient in gradients(3):
        weight.grad = gradient.to(kind)
        optimizer.step(0.0)
    assert torch.equal(weight.detach().view(torch.uint8), start.view(torch.uint8))


def test_clipping() -> None:
    """Gradients (3) and (4) have length 5 together; at most 1 of it stays: a factor of .2."""
    one, two = parameter(torch.zeros(1)), parameter(torch.zeros(1))
    one.grad, two.grad = torch.tensor([3.0]), torch.tensor([4.0])
    optimizer = AdamW([("one", one), ("two", two)], TrainConfig())
    assert optimizer.grad_norm() == pytest.approx(5.0)
    assert clip_scale(5.0, 1.0) == pytest.approx(0.2, abs=1e-6)
    assert clip_scale(0.5, 1.0) == 1.0
    optimizer.step(1.0, 0.2)
    assert optimizer.first["one"].item() == pytest.approx(0.1 * 0.6)


def test_weights_without_gradient_are_left_alone() -> None:
    weight = parameter(weights())
    AdamW([("w", weight)], TrainConfig()).step(1.0)
    assert torch.equal(weight, weights())
