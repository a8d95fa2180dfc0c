"""Losses worked by hand. Legend: P pairs."""

from __future__ import annotations

import math

import pytest
import torch

from sena.align.losses import content, content_divisor, dpo


def of(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_equal_to_the_reference_is_log_two() -> None:
    """Margin 0: -log sigmoid(0) = -log(1/2) = log 2, rewards 0."""
    found = dpo(of(-3.0), of(-7.0), of(-3.0), of(-7.0), beta=0.1)
    assert found.losses.item() == pytest.approx(math.log(2), abs=1e-15)
    assert found.chosen_rewards.item() == found.rejected_rewards.item() == 0


def test_by_hand() -> None:
    """chosen -2 against -3: reward .1; rejected -9 against -7: reward -.2; margin .3.

    -log sigmoid(.3) = log(1 + e^-.3) = log 1.74081822 = .55435524.
    """
    found = dpo(of(-2.0), of(-9.0), of(-3.0), of(-7.0), beta=0.1)
    assert found.chosen_rewards.item() == pytest.approx(0.1)
    assert found.rejected_rewards.item() == pytest.approx(-0.2)
    assert found.losses.item() == pytest.approx(0.55435524, abs=1e-8)


def test_swapped_pair() -> None:
    """Swapped, the margin is -.3: the loss is log(1 + e^.3) = .85435524, that is .3 more."""
    found = dpo(of(-9.0), of(-2.0), of(-7.0), of(-3.0), beta=0.1)
    assert found.losses.item() == pytest.approx(0.85435524, abs=1e-8)


def test_gradient_by_hand() -> None:
    """d loss / d chosen = -beta * sigmoid(-beta * margin); at margin 0 it is -beta / 2 = -.05, for rejected +.05."""
    chosen, rejected = of(-3.0).requires_grad_(), of(-7.0).requires_grad_()
    dpo(chosen, rejected, of(-3.0), of(-7.0), beta=0.1).losses.sum().backward()
    assert chosen.grad is not None
    assert rejected.grad is not None
    assert chosen.grad.item() == pytest.approx(-0.05)
    assert rejected.grad.item() == pytest.approx(0.05)


def test_far_margins_stay_finite() -> None:
    """-log sigmoid(-x) is x for large x, -log sigmoid(x) is 0."""
    found = dpo(of(-10_000.0, 10_000.0), of(0, 0), of(0, 0), of(0, 0), beta=1.0)
    assert found.losses.tolist() == pytest.approx([10_000.0, 0.0])


def test_content_by_hand() -> None:
    """-(-6) / 3 = 2 for the description, 0 for the answer; gradient -1/3 and 0."""
    chosen = of(-6.0, -5.0).requires_grad_()
    terms = content(chosen, torch.tensor([3, 2]), torch.tensor([True, False]))
    terms.sum().backward()
    assert terms.tolist() == [2.0, 0.0]
    assert chosen.grad is not None
    assert chosen.grad.tolist() == pytest.approx([-1 / 3, 0.0])


def test_content_of_no_tokens_is_a_number() -> None:
    assert content(of(0.0), torch.tensor([0]), torch.tensor([True])).tolist() == [0.0]
    assert content(of(0.0), torch.tensor([0]), torch.tensor([False])).tolist() == [0.0]


def test_content_divisor() -> None:
    """8 pairs, 3 of them descriptions; and a step without descriptions, whose sum is 0 anyway."""
    assert content_divisor(8, 3, "all_pairs") == 8
    assert content_divisor(8, 3, "described") == 3
    assert content_divisor(8, 0, "described") == 1
