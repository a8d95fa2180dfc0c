"""`sena check`: all faults of a recipe at once, what it would take, and on request a few pairs of the user's images."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from sena.align import eight_bit
from sena.checks import pictures, trial
from sena.checks.memory import MemorySum, memory
from sena.engines import started
from sena.errors import SenaError
from sena.images.questions import match
from sena.images.sources import Source
from sena.mini.stranger import hint_of
from sena.progress import Reporter
from sena.recipes import names
from sena.recipes.recipe import Recipe
from sena.runs import trackers
from sena.text import printable

GIB = 1 << 30
CARD = 79 * GIB
"""What a GPU sold with 80 GB offers."""


@dataclass(slots=True)
class Findings:
    """What was found: `faults` stop a run, `notes` do not."""

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def attempt(self, call, *args):  # type: ignore[no-untyped-def]
        """`call(*args)`, or None and one more fault."""
        try:
            return call(*args)
        except SenaError as error:
            if str(error) not in self.faults:  # two questions may fail for one reason
                self.faults.append(str(error))
            return None


def check(recipe: Recipe, try_images: int = 0, all_images: bool = False, reporter: Reporter | None = None) -> int:
    """Print the memory sum and every fault, the verdict last. Returns 0, or 2 when there is a fault.

    `try_images` images go through the data half, and hours, memory and disk are projected from them; `all_images`
    opens every image of every source.
    """
    from sena.rounds.training_half import demand_trainable

    reporter = reporter or Reporter()
    found = Findings()
    sources = _check_images(recipe, all_images, reporter, found)
    stranger = found.attempt(hint_of, names.model_folder(recipe.model.name), sources)
    found.notes += [stranger] if stranger else []
    found.attempt(trackers.demand, recipe.run.trackers)
    found.attempt(started.demand, recipe.engine)
    found.attempt(demand_trainable, recipe)
    if recipe.train.optimizer == "adamw_8bit":
        found.attempt(eight_bit.demand)
    remark = found.attempt(_look_at_model, recipe)
    found.notes += [remark] if remark else []
    need = found.attempt(_memory, recipe)
    if need is not None:
        _tell_memory(recipe, need, reporter, found)
        _tell_disk(recipe, need, reporter, found)
    found.attempt(names.benchmarks, recipe.eval)
    tried = found.attempt(trial.run, recipe, sources, try_images, reporter) if try_images and not found.faults else None
    for note in found.notes:
        reporter.say(f"note: {printable(note)}")
    for fault in found.faults:
        reporter.say(f"fault: {printable(fault)}", "red")
    if tried is not None and not tried.pairs:
        reporter.say("No fault found, but no pair was kept of these images: read above why, and try more of them")
    else:
        next_step = "No fault found. Next: sena evolve with the same arguments"
        reporter.say("Mend the above." if found.faults else next_step)
    return 2 if found.faults else 0


def _look_at_model(recipe: Recipe) -> str:
    """Refuse a bound or a corruption that cannot act on what this model takes. Returns what to say of its family."""
    from sena.engines.looks import demand
    from sena.models import families
    from sena.models.bound import bound
    from sena.models.load import load_without_weights

    vlm = load_without_weights(names.model_or_run(recipe.model.name))
    bound(vlm, recipe.model.picture_tokens)
    demand(vlm, recipe.corruption.kind, recipe.corruption.strength)
    return families.remark(vlm.family)


def _memory(recipe: Recipe) -> MemorySum:
    answer = max(recipe.describe.max_new_tokens, recipe.answer.max_new_tokens)
    model = recipe.model
    return memory(model.name, recipe.align(), model.dtype, model.device, answer, model.quantize)


def _check_images(recipe: Recipe, every: bool, reporter: Reporter, found: Findings) -> list[Source]:
    """The sources that can be used."""
    opened = found.attempt(_sources, recipe, reporter) or []
    sources = [source for source in opened if found.attempt(source.list) is not None]
    for source in sources:
        found.notes += pictures.listed(source, reporter)
    wanted = recipe.run.rounds * recipe.run.images_per_round
    listed = sum(len(source.list()) for source in sources)
    if opened and listed < wanted:
        found.faults.append(
            f"{recipe.run.rounds} rounds of {recipe.run.images_per_round} images need {wanted} and there are {listed}: "
            f"give --limit {max(1, listed // recipe.run.rounds)} or more images"
        )
    if every and sources:
        found.attempt(pictures.open_all, sources, recipe.images.limits, reporter)
    return sources


def _sources(recipe: Recipe, reporter: Reporter) -> list[Source]:
    sources, given = names.sources(recipe.images), recipe.question.given
    if given is None:
        return sources
    matched = match(sources, given)
    if matched.rows:
        reporter.say(matched.summary())
    return list(matched.sources)


def _tell_memory(recipe: Recipe, need: MemorySum, reporter: Reporter, found: Findings) -> None:
    parts = ("weights", "master", "gradients", "optimizer", "activations", "total")
    labels = {"master": "master copy", "optimizer": "optimizer states", "activations": "activations (estimate)"}
    reporter.say(
        f"memory for training, {need.parts.total:,} parameters of which {need.learning:,} learn, {need.dtype}:"
    )
    for part in parts:
        reporter.say(f"  {labels.get(part, part):24} {getattr(need, part) / GIB:9.2f} GiB")
    there, what = _memory_there()
    if need.total <= min(there, CARD):
        return
    changed = _changed(recipe)
    reporter.say(f"  on a card of 80 GB, which has {CARD / GIB:.0f} GiB:")
    for change, total in {"as it is": need.total, **changed}.items():
        reporter.say(f"    {change:36} {total / GIB:7.2f} GiB, {'fits' if total <= CARD else 'too much'}")
    if need.total > there:
        size = "batch_tokens" if recipe.train.packing == "tree" else "pairs_per_batch"
        mends = [f"--set {change}" for change, total in changed.items() if total <= there]
        found.faults.append(
            f"Training needs {need.total / GIB:.1f} GiB and {what} has {there / GIB:.1f}: take "
            f"{', '.join([*mends, f'a smaller train.{size}'])}, or a larger machine"
        )


def _changed(recipe: Recipe) -> dict[str, int]:
    """Bytes that training would take with one setting changed, by that change."""
    found: dict[str, int] = {}
    for key, value in (("optimizer", "adamw_8bit"), ("method", "lora"), ("gradient_checkpointing", True)):
        if getattr(recipe.train, key) != value:
            train = recipe.train.model_copy(update={key: value})
            text = str(value).lower()
            found[f"train.{key}={text}"] = _memory(recipe.model_copy(update={"train": train})).total
    return found


def _memory_there() -> tuple[int, str]:
    import os

    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_properties(0).total_memory, "the GPU"
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "this machine"


def _tell_disk(recipe: Recipe, need: MemorySum, reporter: Reporter, found: Findings) -> None:
    """A model a round, and while one trains a checkpoint (with the next one beside it) of masters and states."""
    total = recipe.run.rounds * need.stored + 2 * need.checkpoint
    free = shutil.disk_usage(Path.cwd()).free
    reporter.say(
        f"disk: {total / GIB:.1f} GiB for {recipe.run.rounds} models and checkpoints; {free / GIB:.1f} are free"
    )
    if total > free:
        found.faults.append(
            f"The run needs {total / GIB:.1f} GiB of disk and {free / GIB:.1f} are free here: free some"
        )
