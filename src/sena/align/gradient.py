"""The gradient of one optimizer step, batch by batch: means are over the step, so how it is cut changes nothing.

Legend: P pairs of a batch or of the step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from sena.align import halving, losses, metrics, plain
from sena.align.config import AlignSettings
from sena.align.reference import Reference
from sena.align.steps import Step
from sena.align.tree_forward import cut, measure
from sena.align.work import Work, total
from sena.models.vlm import VLM
from sena.records import Pair


@dataclass(frozen=True, slots=True)
class Preferences:
    """What is learned from. `open_image` gives the RGB picture of an image id, `reference` is by pair id.

    `loss` says how a pair counts; it must be the one that the settings name.
    """

    pairs: Sequence[Pair]
    open_image: plain.OpenImage
    reference: Mapping[str, Reference]
    loss: losses.Loss


@dataclass(frozen=True, slots=True)
class Task:
    """What every step's gradient is taken of."""

    policy: VLM
    data: Preferences
    settings: AlignSettings
    forward: plain.Forward


class Gradient(NamedTuple):
    """What is known once the weights hold a step's gradient: its metrics [P, 8] in the step's order, what went through
    the model, the divisor of the content term, and how often the batches had to be halved for want of memory."""

    rows: torch.Tensor
    work: Work
    divisor: int
    halvings: int


def take(task: Task, step: Step) -> Gradient:
    """Add the gradient of `step` to the weights, which must hold none. Batches beyond the memory are halved.

    Raises SenaError when even a single pair is too much.
    """
    described = sum(pair.kind == "description" for pair in step)
    divisor = losses.content_divisor(len(step), described, task.settings.alignment.mean)
    encoded = plain.encode_pairs(task.policy, step, task.data.open_image)
    rows, batches, halvings = halving.fit(
        lambda halvings: cut(task.forward, encoded, task.settings.train.pairs_per_batch, halvings),
        lambda batches: _add_all(task, encoded, batches, divisor),
        undo=lambda: task.policy.model.zero_grad(set_to_none=True),
        mend="Training runs out of memory with a single pair: set train.gradient_checkpointing=true or "
        "train.method=lora, or give smaller pictures or shorter answers",
    )
    done = total(measure(task.forward, [encoded[number] for number in batch]) for batch in batches)
    return Gradient(rows, done, divisor, halvings)


def _add_all(task: Task, encoded: Sequence[plain.Encoded], batches: halving.Batches, divisor: int) -> torch.Tensor:
    """Add the step's gradient. Returns its metrics [P, 8]."""
    parts = [_add(task, [encoded[number] for number in batch], len(encoded), divisor) for batch in batches]
    order = torch.tensor([number for batch in batches for number in batch]).argsort()
    return torch.cat(parts).cpu()[order]


def _add(task: Task, batch: Sequence[plain.Encoded], pairs: int, divisor: int) -> torch.Tensor:
    """Add the batch's share of the step's gradient. Returns its metrics [P, 8]."""
    found = task.forward(task.policy, batch)
    stored = torch.tensor([task.data.reference[each.pair.id][:2] for each in batch], device=found.chosen.device)
    flags = torch.tensor([each.pair.kind == "description" for each in batch], device=found.chosen.device)
    tokens = found.chosen_tokens, found.rejected_tokens
    preference = task.data.loss.of(losses.Scores(found.chosen, found.rejected, stored[:, 0], stored[:, 1], *tokens))
    content = losses.content(found.chosen, found.chosen_tokens, flags)
    loss = preference.losses.sum() / pairs + task.settings.alignment.weight * content.sum() / divisor
    loss.backward()
    return metrics.columns(found, preference, content)
