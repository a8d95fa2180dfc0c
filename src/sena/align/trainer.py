"""The training loop: steps composed ahead, batches that only split them, a checkpoint now and then.

Legend: P pairs of a batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from sena import seeds
from sena.align import (
    checkpoint,
    fingerprint,
    gradient,
    metrics,
    modes,
    parallel,
    plain,
    ranks,
    schedule,
    sharing,
    steps,
    work,
)
from sena.align.config import AlignSettings
from sena.align.eight_bit import AdamW8bit
from sena.align.gradient import Preferences, Task
from sena.align.metrics import StepMetrics
from sena.align.optimizer import AdamW, Named, Optimizer, clip_scale
from sena.align.parallel import Parallel
from sena.align.ranks import Ranks
from sena.errors import ModelError, NonFiniteError, SenaError
from sena.models.adapters import Adapter
from sena.models.vlm import VLM
from sena.records import Pair

LARGEST_FIRST_MARGIN = {torch.float32: 0.01, torch.float64: 0.01}
"""Mean size, in nats, of the first step's margins that is still rounding; 1 nat in the low precisions."""
NO_NUMBER_FOR_RESULTS = {
    "train": {
        "packing",
        "batch_tokens",
        "pairs_per_batch",
        "save_every",
        "gradient_checkpointing",
        "processes",
        "parallel",
        "launcher",
    }
}


@dataclass(frozen=True, slots=True)
class Summary:
    """`resumed_at` is the number of steps that a checkpoint already held. `first_dpo` is None when it held any.
    `adapter` is what adapters learned, with method `lora`."""

    steps: int
    pairs: int
    resumed_at: int
    first_dpo: float | None
    seconds: float
    adapter: Adapter | None = None


@dataclass(frozen=True, slots=True)
class _Job:
    """A gradient's task, how the weights that it moves lie on the ranks (`projector`: names of those with a rate of
    their own), how many steps there are, and what a step costs at what peak."""

    task: Task
    held: Parallel
    optimizer: Optimizer
    projector: frozenset[str]
    count: int
    costs: work.Costs
    peak: float | None


def train(
    vlm: VLM,
    data: Preferences,
    settings: AlignSettings,
    seed: int,
    folder: Path,
    on_step: Callable[[StepMetrics], None] = lambda step: None,
    forward: plain.Forward = plain.log_probabilities,
) -> tuple[VLM, Summary]:
    """Train `vlm`, which must be the round's starting model, and give back the policy (the same weights, changed;
    on quantised weights, with its adapters beside them).

    `folder` is for checkpoints alone; a complete one in it is gone on from, so `on_step` may see up to
    `save_every` - 1 steps a second time. Call `checkpoint.clear(folder)` once the policy is stored.

    Where a launcher left a process group, all its ranks call this with equal arguments and take a share of every step;
    what comes out is that of one process but for rounding. The first rank alone writes checkpoints, which any number
    of ranks goes on from. With `train.parallel: fsdp2` the policy's weights come back on the first rank only.

    Raises NonFiniteError naming pairs when a loss or gradient is no number, RunFolderError when the checkpoint in
    `folder` is not of this run, and SenaError when the first step shows that reference and policy differ.
    """
    start, here = time.perf_counter(), ranks.here()
    _demand_references(data)
    policy = _prepare(vlm, settings, seed, here)
    costs, peak = work.costs(policy.model), work.peak(policy.device, policy.dtype)
    apart = _with_own_rate(policy, settings)
    plan = steps.compose(data.pairs, seed, settings.train.pairs_per_step, settings.train.epochs)
    picture = here.of_first(lambda: sharing.picture_tokens(policy, data.pairs, data.open_image)) if here.size > 1 else 0
    held = parallel.choose(policy, settings.train.parallel, here)
    optimizer = _optimizer(held.weights(), settings, seed)
    task = Task(policy, data, settings, forward, here, picture, held.in_step)
    job = _Job(task, held, optimizer, apart, len(plan), costs, peak and peak * here.size)
    key = make_key(data, settings, seed)
    _go_on(job, folder, key)
    resumed_at, first = optimizer.steps, None
    for step in plan[resumed_at:]:
        told = _take(job, step)
        first = told.dpo if told.step == 0 else first
        on_step(told)
        if optimizer.steps % settings.train.save_every == 0 and optimizer.steps < len(plan):
            _save(job, folder, key)
    whole, adapter = held.finish(policy), None
    if whole is not None:
        policy, adapter = modes.finish(whole, settings.train.method)
    return policy, Summary(len(plan), len(data.pairs), resumed_at, first, time.perf_counter() - start, adapter)


def _go_on(job: _Job, folder: Path, key: str) -> None:
    """Restore what the checkpoint in `folder` holds, if there is one; all ranks take the one that the first sees."""
    here = job.task.ranks
    if here.size == 1:
        found = checkpoint.find(folder, key)
    else:
        told = here.of_first(lambda: (seen := checkpoint.find(folder, key)) and [str(seen.folder), seen.steps])
        found = told and checkpoint.Found(Path(told[0]), told[1])
    if found:
        here.together(lambda: checkpoint.restore(found, job.optimizer, job.held.own))


def _save(job: _Job, folder: Path, key: str) -> None:
    whole, here = job.held.whole(job.optimizer.tensors()), job.task.ranks
    here.together(lambda: checkpoint.save(folder, job.optimizer, key, whole) if here.leads else None)


def make_key(data: Preferences, settings: AlignSettings, seed: int) -> str:
    """What a checkpoint must agree with: pairs, settings, seed, and the starting model by way of its references."""
    reference = sorted((pair.id, *data.reference[pair.id]) for pair in data.pairs)
    chosen = settings.model_dump(mode="json", exclude=NO_NUMBER_FOR_RESULTS)
    return fingerprint.of_json([fingerprint.of_pairs(data.pairs), reference, chosen, seed])


def _demand_references(data: Preferences) -> None:
    if not data.pairs:
        raise SenaError("There are no pairs to train on: take more images, or look at the drop reasons of the filters")
    missing = [pair.id for pair in data.pairs if pair.id not in data.reference]
    if missing:
        raise SenaError(f"{len(missing)} pairs have no reference log-probability, the first is {missing[0]}")


def _prepare(vlm: VLM, settings: AlignSettings, seed: int, here: Ranks) -> VLM:
    torch.manual_seed(seeds.derive(seed, "train"))
    full = settings.train.method == "full"
    frozen = settings.train.projector_learning_rate == 0
    policy = modes.prepare_full(vlm, not frozen) if full else modes.prepare_lora(vlm, settings.lora, seed)
    holders = here.size if settings.train.parallel == "fsdp2" else 1
    modes.set_training(policy, settings.train.gradient_checkpointing, settings.train.optimizer, holders)
    return policy


def _optimizer(weights: Named, settings: AlignSettings, seed: int) -> Optimizer:
    if settings.train.optimizer == "adamw_8bit":
        return AdamW8bit(weights, settings.train, seed)
    return AdamW(weights, settings.train)


def _with_own_rate(policy: VLM, settings: AlignSettings) -> frozenset[str]:
    """Names of the weights that learn at a rate of the projector's own. Raises ModelError when there are none."""
    if not settings.train.projector_learning_rate:
        return frozenset()
    names = frozenset(modes.projector_weights(policy.model))
    if not names:
        raise ModelError(
            "this model's projector is a part of its vision tower, which does not learn: leave "
            "train.projector_learning_rate out"
        )
    return names


def _take(job: _Job, step: steps.Step) -> StepMetrics:
    """One optimizer step: gradients of all its batches, checks, update. All ranks come to the same figures."""
    start = time.perf_counter()
    number, optimizer, settings = job.optimizer.steps, job.optimizer, job.task.settings
    found = gradient.take(job.task, step)
    _check_finite(step, found.rows)
    if number == 0:
        _check_first(job.task, step, found.rows)
    job.held.add_gradients(optimizer.parameters)
    norms = job.task.ranks.gather(optimizer.grad_norm())
    if not all(math.isfinite(norm) for norm in norms):
        raise NonFiniteError(f"A gradient of step {number} is no number. Its pairs: {_names(step)}")
    norm = job.held.norm(norms)
    learning_rate = schedule.rate(settings.train, number, job.count)
    own = (settings.train.projector_learning_rate or 0) * schedule.share(settings.train, number, job.count)
    optimizer.step(learning_rate, clip_scale(norm, settings.train.max_grad_norm), dict.fromkeys(job.projector, own))
    means = metrics.summarise(found.rows, found.divisor)
    seconds = time.perf_counter() - start
    return StepMetrics(
        step=number,
        steps=job.count,
        pairs=len(step),
        loss=means["dpo"] + settings.alignment.weight * means["content"],
        grad_norm=norm,
        learning_rate=learning_rate,
        pairs_per_second=len(step) / seconds,
        tokens_per_second=found.work.tokens / seconds,
        mfu=job.costs.of(found.work) / seconds / job.peak if job.peak else None,
        halvings=found.halvings,
        **means,
    )


def _check_finite(step: steps.Step, rows: torch.Tensor) -> None:
    bad = [pair for pair, fine in zip(step, rows.isfinite().all(1).tolist(), strict=True) if not fine]
    if bad:
        raise NonFiniteError(f"The loss is no number. The pairs that make it so: {_names(bad)}")


def _check_first(task: Task, step: steps.Step, rows: torch.Tensor) -> None:
    """Before the first update the policy is the reference: margins are rounding and the preference loss is known."""
    wanted, names = task.data.loss.at_reference, list(metrics.NAMES)
    if wanted is None:
        return
    policy = rows[:, names.index("logps_chosen")] - rows[:, names.index("logps_rejected")]
    reference = [task.data.reference[pair.id].chosen - task.data.reference[pair.id].rejected for pair in step]
    size = float((policy.double() - torch.tensor(reference, dtype=torch.float64)).abs().mean())
    allowed = LARGEST_FIRST_MARGIN.get(task.policy.dtype, 1.0)
    if size > allowed:
        raise SenaError(
            f"The first preference loss is {float(rows[:, 0].mean()):.4f} instead of {wanted:.4f}: the margins to the "
            f"reference are {size:.3f} nats in the mean, where rounding makes {allowed} at most. The "
            f"references are not this model's: remove their folder to compute them again"
        )


def _names(pairs: Sequence[Pair]) -> str:
    shown = ", ".join(pair.id for pair in pairs[:20])
    return shown if len(pairs) <= 20 else f"{shown} and {len(pairs) - 20} more"
