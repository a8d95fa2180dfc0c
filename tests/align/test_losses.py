"""Losses worked by hand. Legend: P pairs."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from sena.align import losses
from sena.align.config import DpoConfig
from sena.align.losses import Preference, Scores, content, content_divisor, dpo, ipo, orpo, per_token, simpo, smooth
from sena.recipes import names


def of(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def scores(
    chosen: float, rejected: float, reference: tuple[float, float] = (0, 0), tokens: tuple[int, int] = (1, 1)
) -> Scores:
    """One pair."""
    lengths = torch.tensor(tokens[:1]), torch.tensor(tokens[1:])
    return Scores(of(chosen), of(rejected), of(reference[0]), of(reference[1]), *lengths)


def slopes(loss: Callable[[Scores], Preference], at: Scores) -> tuple[float, float]:
    """Derivatives by the chosen and by the rejected log-probability."""
    chosen, rejected = at.chosen.clone().requires_grad_(), at.rejected.clone().requires_grad_()
    found = torch.autograd.grad(loss(at._replace(chosen=chosen, rejected=rejected)).losses.sum(), (chosen, rejected))
    return found[0].item(), found[1].item()


def test_equal_to_the_reference_is_log_two() -> None:
    """Margin 0: -log sigmoid(0) = -log(1/2) = log 2, rewards 0."""
    found = dpo(scores(-3, -7, (-3, -7)), beta=0.1)
    assert found.losses.item() == pytest.approx(math.log(2), abs=1e-15)
    assert found.chosen_rewards.item() == found.rejected_rewards.item() == 0


def test_by_hand() -> None:
    """chosen -2 against -3: reward .1; rejected -9 against -7: reward -.2; margin .3.

    -log sigmoid(.3) = log(1 + e^-.3) = log 1.74081822 = .55435524.
    """
    found = dpo(scores(-2, -9, (-3, -7)), beta=0.1)
    assert found.chosen_rewards.item() == pytest.approx(0.1)
    assert found.rejected_rewards.item() == pytest.approx(-0.2)
    assert found.losses.item() == pytest.approx(0.55435524, abs=1e-8)


def test_swapped_pair() -> None:
    """Swapped, the margin is -.3: the loss is log(1 + e^.3) = .85435524, that is .3 more."""
    assert dpo(scores(-9, -2, (-7, -3)), beta=0.1).losses.item() == pytest.approx(0.85435524, abs=1e-8)


def test_gradient_by_hand() -> None:
    """d loss / d chosen = -beta * sigmoid(-beta * margin); at margin 0 it is -beta / 2 = -.05, for rejected +.05."""
    assert slopes(lambda at: dpo(at, 0.1), scores(-3, -7, (-3, -7))) == pytest.approx((-0.05, 0.05))


def test_far_margins_stay_finite() -> None:
    """-log sigmoid(-x) is x for large x, -log sigmoid(x) is 0."""
    assert dpo(scores(-10_000, 0), beta=1.0).losses.item() == pytest.approx(10_000)
    assert dpo(scores(10_000, 0), beta=1.0).losses.item() == pytest.approx(0)


def test_smooth_by_hand() -> None:
    """Margin .3 as above, a quarter wrong: .75 x .55435524 + .25 x .85435524 = .62935524.

    The slope is beta (sigmoid(.3) - .75) = .1 x (.57444252 - .75) = -.01755575; it turns where sigmoid(x) = .75, which
    is at x = log 3.
    """
    at = scores(-2, -9, (-3, -7))
    assert smooth(at, 0.1, 0.25).losses.item() == pytest.approx(0.62935524, abs=1e-8)
    assert slopes(lambda each: smooth(each, 0.1, 0.25), at) == pytest.approx((-0.01755575, 0.01755575), abs=1e-8)
    assert smooth(scores(0, 0), 0.1, 0.25).losses.item() == pytest.approx(math.log(2), abs=1e-15)
    assert slopes(lambda each: smooth(each, 1.0, 0.25), scores(math.log(3), 0)) == pytest.approx((0, 0), abs=1e-12)
    assert smooth(at, 0.1, 0).losses.item() == dpo(at, 0.1).losses.item()


def test_ipo_by_hand() -> None:
    """Margin 3, aim 1 / (2 x .1) = 5: (3 - 5)^2 = 4, slope 2 x (3 - 5) = -4. At the reference 5^2 = 25; beyond 5 it
    pulls back: margin 6 has slope +2. Rewards are DPO's: .1 and -.2.
    """
    at = scores(-2, -9, (-3, -7))
    found = ipo(at, beta=0.1)
    assert found.losses.item() == pytest.approx(4)
    assert (found.chosen_rewards.item(), found.rejected_rewards.item()) == pytest.approx((0.1, -0.2))
    assert slopes(lambda each: ipo(each, 0.1), at) == pytest.approx((-4, 4))
    assert ipo(scores(-3, -7, (-3, -7)), beta=0.1).losses.item() == pytest.approx(25)
    assert slopes(lambda each: ipo(each, 0.1), scores(6, 0)) == pytest.approx((2, -2))


def test_per_token_by_hand() -> None:
    """chosen (-2 + 3) / 2 = .5 a token, rejected (-9 + 7) / 4 = -.5: margin 1, -log sigmoid(.1) = .64439666.

    Slopes: sigmoid(-.1) x .1 = .04750208, over 2 and 4 tokens: -.02375104 and .01187552.
    """
    at = scores(-2, -9, (-3, -7), (2, 4))
    assert dpo(per_token(at), 0.1).losses.item() == pytest.approx(0.64439666, abs=1e-8)
    assert slopes(lambda each: dpo(per_token(each), 0.1), at) == pytest.approx((-0.02375104, 0.01187552), abs=1e-8)
    assert per_token(scores(0, 0, tokens=(0, 0))).chosen.item() == 0


def test_simpo_by_hand() -> None:
    """Rewards 2 x -6 / 3 = -4 and 2 x -5 / 2 = -5; margin 1, less gamma .5: -log sigmoid(.5) = .47407698.

    Slopes: sigmoid(-.5) x 2 = .75508134, over 3 and 2 tokens: -.25169378 and .37754067. No reference is looked at.
    """
    at = scores(-6, -5, tokens=(3, 2))
    found = simpo(at, beta=2, gamma=0.5)
    assert found.losses.item() == pytest.approx(0.47407698, abs=1e-8)
    assert (found.chosen_rewards.item(), found.rejected_rewards.item()) == pytest.approx((-4, -5))
    assert slopes(lambda each: simpo(each, 2, 0.5), at) == pytest.approx((-0.25169378, 0.37754067), abs=1e-8)
    elsewhere = at._replace(reference_chosen=of(-50), reference_rejected=of(math.nan))
    assert simpo(elsewhere, 2, 0.5).losses.item() == found.losses.item()


def test_orpo_by_hand() -> None:
    """Two tokens of p = 1/2 against one of p = 1/4: odds 1 and 1/3, log ratio log 3, -log sigmoid(log 3) = log 4/3.

    The loss is log 2 + .1 x log 4/3 = .72191539. The log odds have slope 1 / (1 - p): 2 and 4/3. So by the mean of the
    chosen answer it is -1 - .1 x 1/4 x 2 = -1.05, by its sum half of that; by the rejected one .1 x 1/4 x 4/3 = 1/30.
    """
    at = scores(2 * math.log(0.5), math.log(0.25), tokens=(2, 1))
    found = orpo(at, beta=0.1)
    assert found.losses.item() == pytest.approx(0.72191539, abs=1e-8)
    assert found.chosen_rewards.item() == pytest.approx(0.1 * math.log(0.5))
    assert slopes(lambda each: orpo(each, 0.1), at) == pytest.approx((-0.525, 1 / 30))
    certain = scores(0, -3)
    assert math.isfinite(orpo(certain, 0.1).losses.item())
    assert all(map(math.isfinite, slopes(lambda each: orpo(each, 0.1), certain)))


def test_names() -> None:
    """Each name gives its function with the recipe's parameters, and its value where policy and reference agree."""
    at = scores(-2, -9, (-3, -7), (2, 4))
    wanted = {
        "sigmoid": dpo(at, 0.2),
        "smooth": smooth(at, 0.2, 0.3),
        "ipo": ipo(at, 0.2),
        "simpo": simpo(at, 0.2, 0.7),
        "orpo": orpo(at, 0.2),
    }
    for name, each in wanted.items():
        config = {"loss": name, "beta": 0.2, "smoothing": 0.3, "gamma": 0.7}
        found = names.loss(DpoConfig.model_validate(config))
        assert found.of(at).losses.item() == each.losses.item()
        by_token = names.loss(DpoConfig.model_validate({**config, "per_token": True}))
        if found.at_reference is None:
            assert by_token.of(at).losses.item() == each.losses.item()
            continue
        equal = at._replace(reference_chosen=at.chosen, reference_rejected=at.rejected)
        assert found.of(equal).losses.item() == pytest.approx(found.at_reference)
        assert by_token.of(equal).losses.item() == pytest.approx(found.at_reference)
        assert by_token.of(at).losses.item() == found.of(losses.per_token(at)).losses.item()


def test_a_weight_scales_the_loss_and_not_the_rewards() -> None:
    at = scores(-3.0, -5.0)
    whole, half, off = (names.loss(DpoConfig(weight=weight)) for weight in (1.0, 0.5, 0.0))
    assert half.of(at).losses.item() == pytest.approx(0.5 * whole.of(at).losses.item())
    assert half.of(at).chosen_rewards.item() == whole.of(at).chosen_rewards.item()
    assert (half.at_reference, off.at_reference) == (pytest.approx(0.5 * math.log(2)), 0.0)
    assert off.of(at).losses.item() == 0.0


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
