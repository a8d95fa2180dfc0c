"""The training half of a round: reference log-probabilities, then the policy, saved whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from sena import files, stores
from sena.align import checkpoint, ranks
from sena.align import reference as references
from sena.align.gradient import Preferences
from sena.align.metrics import StepMetrics
from sena.align.reference import Reference
from sena.align.selftest import choose_forward
from sena.align.trainer import Summary, train
from sena.engines.base import OpenImage
from sena.errors import RecipeError
from sena.models import adapters
from sena.models.bound import bound
from sena.models.load import load, save
from sena.models.quantize import is_quantized
from sena.models.vlm import VLM
from sena.recipes import names
from sena.recipes.recipe import Recipe
from sena.records import Image, Pair
from sena.rounds import launch
from sena.rounds.card import model_card
from sena.rounds.job import Job
from sena.runs import tables
from sena.runs.folder import RoundFolder
from sena.seeds import derive


def demand_trainable(recipe: Recipe, out: str | Path = "") -> None:
    """Raises SenaError for what only the data half can do, and for training processes that cannot be."""
    launch.demand(recipe)
    if recipe.train.launcher and stores.is_address(out):
        raise RecipeError(
            f"train.launcher may train on several machines, which share a disk and no store: set train.processes in "
            f"its place, or choose another --out than {stores.address(out)}"
        )
    if recipe.model.device == "split":
        raise RecipeError(
            "model.device: split is for making pairs, asking and measuring, and training needs one device: set "
            "model.device to auto, and if the model does not fit, model.quantize to 4bit"
        )


def score_reference(job: Job, number: int, pairs: Sequence[Pair]) -> Mapping[str, Reference]:
    """Log-probabilities of all pairs under the model that the round started from, made once and kept by pair id."""
    folder = job.round(number)
    if folder.training.is_file():
        return references.read(folder.reference)
    if not launch.is_wanted(job.recipe.train):
        return score_here(job, number, pairs)
    launch.run(job, number, "reference")
    return references.read(folder.reference)


def score_here(job: Job, number: int, pairs: Sequence[Pair]) -> Mapping[str, Reference]:
    """The same by this process, with the other ranks if there are any."""
    folder = job.round(number)
    vlm, settings = job.load_model(job.start_of(number)), job.recipe.train
    halvings = 0
    with job.timed(number, "reference", len(pairs)) as task:

        def told(done: int, total: int, halved: int) -> None:
            nonlocal halvings
            halvings = max(halvings, halved)
            task.advance(done - task.done)

        forward = choose_forward(vlm, settings, pairs, _open(job, folder), job.say)
        found = references.compute(
            vlm, pairs, _open(job, folder), folder.reference, settings.pairs_per_batch, forward, told
        )
    share = references.share_preferred(found)
    job.say(f"  the reference already prefers the chosen answer in {share:.0%} of the pairs")
    if halvings:
        job.say(f"  scoring the reference ran out of memory: its batches were halved up to {halvings}x")
    job.metrics.log(number, "reference", {"pairs": len(pairs), "already_preferred": share, "halvings": halvings})
    return found


def train_policy(job: Job, number: int, pairs: Sequence[Pair], reference: Mapping[str, Reference]) -> Path:
    """The round's model. Goes on from its last checkpoint; returns the folder of the model once it is whole."""
    folder = job.round(number)
    if folder.training.is_file():
        return folder.model
    if not launch.is_wanted(job.recipe.train):
        return train_here(job, number, pairs, reference)
    launch.run(job, number, "train")
    return folder.model


def train_here(job: Job, number: int, pairs: Sequence[Pair], reference: Mapping[str, Reference]) -> Path:
    """The same by this process, with the other ranks if there are any; the first of them stores the model."""
    folder, here = job.round(number), ranks.here()
    if here.size > 1:
        job.say(f"  {here.size} processes train together ({job.recipe.train.parallel})")
    vlm = job.load_model(job.start_of(number))
    job.release_model()  # training changes its weights, so nobody may take it for the starting model any more
    loss = names.loss(job.recipe.dpo)
    data = Preferences(pairs, _open(job, folder), reference, loss)
    seed = derive(job.recipe.run.seed, number, "train")
    with job.timed(number, "train", 0) as task:

        def told(step: StepMetrics) -> None:
            task.total, task.before = step.steps, step.step - task.done
            task.advance(1, f"loss {step.loss:.3f} margin {step.rewards_margins:+.3f}")
            job.metrics.log(number, "train", step.named(), step.step)
            if step.halvings:
                job.say(
                    f"  step {step.step} ran out of memory: its batches were halved {step.halvings}x, its loss stays"
                )

        forward = choose_forward(vlm, job.recipe.train, pairs, data.open_image)
        policy, summary = train(vlm, data, job.recipe.align(), seed, folder.checkpoints, told, forward)
    here.together(lambda: _store(job, folder, policy, summary, len(pairs)) if here.leads else None)
    job.say(f"  trained {summary.steps} steps on {summary.pairs} pairs{_first(summary, loss.at_reference)}")
    return folder.model


def _store(job: Job, folder: RoundFolder, policy: VLM, summary: Summary, pairs: int) -> None:
    """Adapter, model, then summary, then the checkpoints may go: whatever a kill leaves, the run goes on from it."""
    card = model_card(job.recipe, folder.number, len(tables.read(folder.images, Image)), pairs)
    adapter = summary.adapter
    if adapter is not None:
        base = _base(job, folder)
        files.make_folder(folder.adapter, lambda place: adapters.save(adapter, place, base))
    if is_quantized(policy.model):  # the whole weights take the adapter in, and the next round quantises the sum
        whole = load(job.model_of(job.start_of(folder.number)), job.plan["dtype"], "cpu")
        bound(whole, job.recipe.model.picture_tokens)
        policy = adapters.merge(whole, folder.adapter)

    def fill(place: Path) -> None:
        save(policy, place)
        files.write_text(place / "README.md", card)

    files.make_folder(folder.model, fill)
    files.write_json(folder.training, {"steps": summary.steps, "pairs": summary.pairs})
    checkpoint.clear(folder.checkpoints)


def _base(job: Job, folder: RoundFolder) -> str:
    """The model that the round started from: of an earlier round as seen from the adapter, so that the run may move."""
    start = job.start_of(folder.number)
    name = job.model_of(start)
    if start:
        return os.path.relpath(name, folder.adapter)
    return str(Path(name).expanduser().resolve()) if Path(name).expanduser().is_dir() else name


def _first(summary: Summary, wanted: float | None) -> str:
    if summary.first_dpo is None:
        return ""
    against = "" if wanted is None else f" ({wanted:.4f} where policy and reference agree)"
    return f", first preference loss {summary.first_dpo:.4f}{against}"


def _open(job: Job, folder: RoundFolder) -> OpenImage:
    return job.pictures(tables.read(folder.images, Image)).open
