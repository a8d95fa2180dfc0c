"""What is told of every optimizer step, under the names that TRL's users know. Legend: P pairs of a batch."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch

from sena.align.losses import Preference
from sena.align.plain import LogProbs

NAMES = {
    "dpo": "loss/dpo",
    "content": "loss/content",
    "rewards_chosen": "rewards/chosen",
    "rewards_rejected": "rewards/rejected",
    "rewards_margins": "rewards/margins",
    "rewards_accuracies": "rewards/accuracies",
    "logps_chosen": "logps/chosen",
    "logps_rejected": "logps/rejected",
}


@dataclass(frozen=True, slots=True)
class StepMetrics:
    """Means over the pairs of one optimizer step, before its update. Log-probabilities and rewards in nats.

    Tokens are those that went through the language model: with trees, what answers share counts once. `mfu` is the
    share of the GPU's peak that `work.py` counts, None where the peak is not known. `halvings` says how often the
    step's batches were halved for want of memory.
    """

    step: int
    steps: int
    pairs: int
    loss: float
    dpo: float
    content: float
    rewards_chosen: float
    rewards_rejected: float
    rewards_margins: float
    rewards_accuracies: float
    logps_chosen: float
    logps_rejected: float
    grad_norm: float
    learning_rate: float
    pairs_per_second: float
    tokens_per_second: float
    mfu: float | None
    halvings: int

    def named(self) -> dict[str, float]:
        """The same with TRL's names: `loss/dpo`, `rewards/margins`, ... What is not known is left out."""
        return {NAMES.get(name, name): value for name, value in asdict(self).items() if value is not None}


def columns(found: LogProbs, preference: Preference, content: torch.Tensor) -> torch.Tensor:
    """The values of a batch's pairs, [P, 8], in the order of `NAMES`; on the device, so that no batch waits."""
    margins = preference.chosen_rewards - preference.rejected_rewards
    values = [
        preference.losses,
        content,
        preference.chosen_rewards,
        preference.rejected_rewards,
        margins,
        (margins > 0).float(),
        found.chosen,
        found.rejected,
    ]
    return torch.stack([value.detach().float() for value in values], dim=1)


def summarise(rows: torch.Tensor, content_divisor: int) -> dict[str, float]:
    """From the [P, 8] of all the step's batches to its means; the content term has its own divisor."""
    sums = rows.double().sum(0).tolist()
    means = dict(zip(NAMES, (value / len(rows) for value in sums), strict=True))
    return {**means, "content": sums[1] / content_divisor}
