"""The two terms of the loss, as functions of log-probabilities alone. Legend: P pairs of a batch.

Summing a term over batches and dividing by the pairs of the optimizer step gives the step's loss, so how a step is cut
into batches never changes it. A log-probability is the natural logarithm summed over an answer's tokens, end included.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch.nn.functional import logsigmoid

ALMOST_SURE = -1e-6
"""Largest mean log-probability whose odds are computed: those of a certain answer are infinite."""


class Scores(NamedTuple):
    """Log-probabilities of both answers under policy and reference, and their tokens: each [P]."""

    chosen: torch.Tensor
    rejected: torch.Tensor
    reference_chosen: torch.Tensor
    reference_rejected: torch.Tensor
    chosen_tokens: torch.Tensor
    rejected_tokens: torch.Tensor


class Preference(NamedTuple):
    """Losses [P], and the rewards that the loss implies (no gradient) [P]."""

    losses: torch.Tensor
    chosen_rewards: torch.Tensor
    rejected_rewards: torch.Tensor


@dataclass(frozen=True, slots=True)
class Loss:
    """A preference loss with its parameters bound, and its value where the policy is the reference.

    The trainer checks the first step against that value. It is None for a loss that does not ask a reference.
    """

    of: Callable[[Scores], Preference]
    at_reference: float | None = math.log(2)


def per_token(scores: Scores) -> Scores:
    """The same with every log-probability divided by its answer's tokens, so that long answers do not count for more.

    In front of `dpo` it makes length-normalised DPO (Lambert et al. 2024, "Tulu 3", section 5.1.1), in front of `ipo`
    the IPO that TRL computes. An answer without tokens counts as one of one token.
    """
    chosen, rejected = scores.chosen_tokens.clamp(min=1), scores.rejected_tokens.clamp(min=1)
    return scores._replace(
        chosen=scores.chosen / chosen,
        rejected=scores.rejected / rejected,
        reference_chosen=scores.reference_chosen / chosen,
        reference_rejected=scores.reference_rejected / rejected,
    )


def dpo(scores: Scores, beta: float) -> Preference:
    """Direct preference optimization, sigmoid form: -log sigmoid(beta * margin).

    The margin is (chosen - reference_chosen) - (rejected - reference_rejected), in nats. Equal to the reference it
    is 0 and the loss log 2. Rafailov et al. 2023, "Direct Preference Optimization", equation 7.
    """
    return smooth(scores, beta, 0.0)


def smooth(scores: Scores, beta: float, smoothing: float) -> Preference:
    """DPO where a share `smoothing` of the pairs is thought to be the wrong way round.

    -(1 - smoothing) log sigmoid(beta * margin) - smoothing log sigmoid(-beta * margin), which has its least value at a
    finite margin. Mitchell 2023, "A note on DPO with noisy preferences & relationship to IPO", equation 3.
    """
    chosen, rejected = _rewards(scores, beta)
    losses = -logsigmoid(chosen - rejected)
    if smoothing:
        losses = (1 - smoothing) * losses - smoothing * logsigmoid(rejected - chosen)
    return Preference(losses, chosen.detach(), rejected.detach())


def ipo(scores: Scores, beta: float) -> Preference:
    """Identity preference optimization: (margin - 1 / (2 beta))^2, a margin that is aimed at rather than grown.

    Equal to the reference the loss is 1 / (4 beta^2). Azar et al. 2023, "A general theoretical paradigm to understand
    learning from human preferences", equation 17 (whose tau is beta).
    """
    chosen, rejected = _rewards(scores, beta)
    losses = ((chosen - rejected) / beta - 1 / (2 * beta)) ** 2
    return Preference(losses, chosen.detach(), rejected.detach())


def simpo(scores: Scores, beta: float, gamma: float) -> Preference:
    """SimPO, without a reference: -log sigmoid(beta * (chosen - rejected) - gamma), log-probabilities a token.

    `gamma` is the margin that rewards should have. Meng et al. 2024, "SimPO: Simple preference optimization with a
    reference-free reward", equation 6.
    """
    means = per_token(scores)
    chosen, rejected = beta * means.chosen, beta * means.rejected
    return Preference(-logsigmoid(chosen - rejected - gamma), chosen.detach(), rejected.detach())


def orpo(scores: Scores, beta: float) -> Preference:
    """Odds ratio preference optimization, without a reference: -chosen - beta * log sigmoid(log odds ratio).

    `chosen` is the log-probability a token, and the odds of an answer whose tokens have the geometric mean p are
    p / (1 - p). Hong et al. 2024, "ORPO: Monolithic preference optimization without reference model", equations 6 and 7
    (whose lambda is beta).
    """
    means = per_token(scores)
    ratio = _log_odds(means.chosen) - _log_odds(means.rejected)
    losses = -means.chosen - beta * logsigmoid(ratio)
    return Preference(losses, beta * means.chosen.detach(), beta * means.rejected.detach())


def by_token(loss: Loss) -> Loss:
    """The loss of log-probabilities a token."""
    return Loss(lambda scores: loss.of(per_token(scores)), loss.at_reference)


def weighted(loss: Loss, weight: float) -> Loss:
    """The loss times `weight`; rewards are what they are without it."""
    if weight == 1:
        return loss

    def of(scores: Scores) -> Preference:
        found = loss.of(scores)
        return found._replace(losses=weight * found.losses)

    return Loss(of, None if loss.at_reference is None else weight * loss.at_reference)


def content(chosen: torch.Tensor, tokens: torch.Tensor, described: torch.Tensor) -> torch.Tensor:
    """Image content alignment: negative log-likelihood a token of the chosen answer, on description pairs only.

    Args: log-probabilities [P], token counts [P], flags [P] (True for descriptions). Returns [P], zero elsewhere.
    An answer without tokens counts as one of one token, so that no 0 / 0 reaches the sum.
    """
    mean = -chosen / tokens.clamp(min=1)
    return torch.where(described, mean, torch.zeros_like(mean))


def content_divisor(pairs: int, described: int, mean: Literal["all_pairs", "described"]) -> int:
    """What a step's sum of `content` is divided by. A step without descriptions sums to zero, whatever the divisor."""
    return pairs if mean == "all_pairs" else max(described, 1)


def _rewards(scores: Scores, beta: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Beta times the log-ratio to the reference, of both answers."""
    return beta * (scores.chosen - scores.reference_chosen), beta * (scores.rejected - scores.reference_rejected)


def _log_odds(mean: torch.Tensor) -> torch.Tensor:
    """log(p / (1 - p)) from log p; `expm1` keeps the digits of 1 - p where p is nearly 1."""
    mean = mean.clamp(max=ALMOST_SURE)
    return mean - torch.log(-torch.expm1(mean))
