"""The two terms of the loss, as functions of log-probabilities alone. Legend: P pairs of a batch.

Summing a term over batches and dividing by the pairs of the optimizer step gives the step's loss, so how a step is cut
into batches never changes it. A log-probability is the natural logarithm summed over an answer's tokens, end included.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch.nn.functional import logsigmoid


class Preference(NamedTuple):
    """Losses [P], and the rewards that DPO implies, beta times the log-ratio to the reference (no gradient) [P]."""

    losses: torch.Tensor
    chosen_rewards: torch.Tensor
    rejected_rewards: torch.Tensor


def dpo(
    chosen: torch.Tensor,
    rejected: torch.Tensor,
    reference_chosen: torch.Tensor,
    reference_rejected: torch.Tensor,
    beta: float,
) -> Preference:
    """Direct preference optimization, sigmoid form: -log sigmoid(beta * margin), all arguments [P].

    The margin is (chosen - reference_chosen) - (rejected - reference_rejected), in nats. Equal to the reference it
    is 0 and the loss log 2. Rafailov et al. 2023, "Direct Preference Optimization", equation 7.
    """
    chosen_rewards = beta * (chosen - reference_chosen)
    rejected_rewards = beta * (rejected - reference_rejected)
    losses = -logsigmoid(chosen_rewards - rejected_rewards)
    return Preference(losses, chosen_rewards.detach(), rejected_rewards.detach())


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
