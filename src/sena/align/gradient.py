"""The gradient of one optimizer step, batch by batch: means are over the step, so how it is cut changes nothing.

Of several ranks each takes a share of the step's pairs, and what they add up to is the same.

Legend: P pairs of a batch or of the step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from sena.align import halving, losses, metrics, plain, sharing
from sena.align.config import AlignSettings
from sena.align.ranks import ALONE, Ranks
from sena.align.reference import Reference
from sena.align.steps import Step
from sena.align.tree_forward import TreeForward, cut, measure
from sena.align.work import Work, total
from sena.errors import BatchError, SenaError
from sena.models.vlm import VLM
from sena.records import Pair

TOO_LITTLE = (
    "Training runs out of memory with a single pair: set train.gradient_checkpointing=true or "
    "train.method=lora, or give smaller pictures or shorter answers"
)


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
    """What every step's gradient is taken of, and by which of several ranks. `picture` is about how many tokens one
    takes; `in_step` says that all ranks must run as many batches as one another."""

    policy: VLM
    data: Preferences
    settings: AlignSettings
    forward: plain.Forward
    ranks: Ranks = ALONE
    picture: int = 0
    in_step: bool = False


class Gradient(NamedTuple):
    """What is known once the weights hold a step's gradient: its metrics [P, 8] in the step's order, what went through
    the model, the divisor of the content term, and how often the batches had to be halved for want of memory.

    Of several ranks each has its own part of the gradient, and of these figures those of all."""

    rows: torch.Tensor
    work: Work
    divisor: int
    halvings: int


class _Step(NamedTuple):
    """A rank's share of a step, encoded, and what its terms are divided by: the whole step's pairs and descriptions."""

    encoded: Sequence[plain.Encoded]
    pairs: int
    divisor: int


def take(task: Task, step: Step) -> Gradient:
    """Add the gradient of `step` to the weights, which must hold none. Batches beyond the memory are halved.

    Raises SenaError when even a single pair is too much.
    """
    described = sum(pair.kind == "description" for pair in step)
    divisor = losses.content_divisor(len(step), described, task.settings.alignment.mean)
    ranks, numbers = task.ranks, _own(task, step)
    own = [step[number] for number in numbers]
    encoded = ranks.together(lambda: plain.encode_pairs(task.policy, own, task.data.open_image))
    share = _Step(encoded, len(step), divisor)
    if task.in_step:
        rows, batches, halvings = _in_step(task, step, share)
    else:
        rows, batches, halvings = ranks.together(lambda: _fit(task, share))
    done = total(measure(task.forward, [encoded[number] for number in batch]) for batch in batches)
    every = ranks.gather([done.tokens, done.seen, halvings])
    done = total(Work(tokens, seen) for tokens, seen, _ in every)
    return Gradient(ranks.rows(rows, numbers, len(step)), done, divisor, max(halved for *_, halved in every))


def _own(task: Task, step: Step) -> list[int]:
    """Numbers of the pairs that this rank takes."""
    is_tree = isinstance(task.forward, TreeForward)
    return sharing.numbers_of(step, task.ranks.rank, task.ranks.size, task.picture, is_tree)


def _fit(task: Task, share: _Step) -> halving.Fitted[torch.Tensor]:
    return halving.fit(
        lambda halvings: cut(task.forward, share.encoded, task.settings.train.pairs_per_batch, halvings),
        lambda batches: _add_all(task, share, batches),
        undo=lambda: task.policy.model.zero_grad(set_to_none=True),
        mend=TOO_LITTLE,
    )


def _in_step(task: Task, step: Step, share: _Step) -> halving.Fitted[torch.Tensor]:
    """As `_fit` where layers come together for each batch: a rank with fewer batches runs a pair for nothing.

    Batches that are too large cannot be halved here, since the other ranks are in the middle of theirs: whoever raises
    ends its process, and with it all, which is how they come to begin anew with smaller ones (`rounds/launch.py`).
    """
    batches = cut(task.forward, share.encoded, task.settings.train.pairs_per_batch)
    missing = max(task.ranks.gather(len(batches))) - len(batches)
    spare = share.encoded or plain.encode_pairs(task.policy, step[:1], task.data.open_image)
    try:
        rows = _add_all(task, share, batches)
        for _ in range(missing):
            found = task.forward(task.policy, spare[:1])
            (0.0 * (found.chosen + found.rejected).sum()).backward()
    except torch.OutOfMemoryError as error:
        raise _too_large(task, share, batches) from error
    return halving.Fitted(rows, batches, 0)


def _too_large(task: Task, share: _Step, batches: halving.Batches) -> SenaError:
    """What is to be told of batches for which the memory does not suffice."""
    if all(len(batch) == 1 for batch in batches):
        return SenaError(TOO_LITTLE)
    halvings, size = 1, task.settings.train.pairs_per_batch
    while cut(task.forward, share.encoded, size, halvings) == batches:
        halvings += 1
    return BatchError("Training runs out of memory: set train.batch_tokens or train.pairs_per_batch to half", halvings)


def _add_all(task: Task, share: _Step, batches: halving.Batches) -> torch.Tensor:
    """Add the gradient of a share of the step. Returns its metrics [P, 8]."""
    parts = [_add(task, [share.encoded[number] for number in batch], share.pairs, share.divisor) for batch in batches]
    if not parts:
        return torch.zeros(0, len(metrics.NAMES))
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
