"""The learning rate of a step, as a pure function of its number."""

from __future__ import annotations

import math

from sena.align.config import TrainConfig


def rate(config: TrainConfig, step: int, steps: int) -> float:
    """Learning rate of optimizer step `step` (from 0) of `steps`."""
    return config.learning_rate * share(config, step, steps)


def share(config: TrainConfig, step: int, steps: int) -> float:
    """The rate as a share of the highest one, in [0, 1].

    `cosine` and `constant` rise in a straight line over the warm-up, reach 1 at its last step, and waste no step on
    rate 0. `warmup_log_constant` is DeepSpeed's WarmupLR as the released code ran it: log(step + 1) / log(warm-up
    steps), so its first step moves nothing, then 1 for ever.
    """
    warmup = math.ceil(config.warmup * steps)
    if config.schedule == "warmup_log_constant":
        warmup = max(warmup, 2)
        return min(1.0, math.log(step + 1) / math.log(warmup))
    if step < warmup:
        return (step + 1) / warmup
    if config.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))
