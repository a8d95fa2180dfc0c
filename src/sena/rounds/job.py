"""A run at work: its recipe and folder, and what its steps share."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from sena import copies, files
from sena.data.actors import demand_ray
from sena.engines import started
from sena.engines.local import LocalEngine
from sena.engines.looks import demand
from sena.errors import RunFolderError
from sena.images.pictures import Pictures, demand_sources
from sena.images.sources import Source
from sena.mini import stranger
from sena.models import families
from sena.models.bound import bound
from sena.models.load import load_config, load_under, load_without_weights, resolve_device, resolve_dtype
from sena.models.vlm import VLM
from sena.progress import Reporter, Task
from sena.recipes import load as recipes
from sena.recipes import names
from sena.recipes.recipe import Recipe
from sena.records import Image
from sena.runs import trackers
from sena.runs.folder import RoundFolder, RunFolder, create_run, open_run
from sena.runs.metrics import Metrics, peak_memory, reset_peak
from sena.runs.stored import Stored
from sena.runs.trackers import Trackers

MAY_CHANGE = (
    "compute.",
    "engine.server.",
    "train.processes",
    "train.parallel",
    "train.launcher",
    "train.batch_tokens",
    "train.pairs_per_batch",
    "train.gradient_checkpointing",
)
"""Settings that may differ from start to start: who works, and what is to suffice when memory did not."""


@dataclass
class Job:
    """What the steps of a run share. Holds at most one model at a time, the one that was asked for last."""

    recipe: Recipe
    run: RunFolder
    reporter: Reporter
    metrics: Metrics
    plan: dict[str, Any]
    _held: tuple[str, VLM] | None = field(default=None, repr=False)

    @cached_property
    def sources(self) -> list[Source]:
        return names.sources(self.recipe.images, self.recipe.question.given)

    def pictures(self, images: Sequence[Image]) -> Pictures:
        sources = {source.name: source for source in self.sources}
        if isinstance(images, Stored):
            demand_sources(images.values("source"), sources)
            return Pictures(images.by_id(), sources, self.recipe.images.limits)
        return Pictures(images, sources, self.recipe.images.limits)

    def round(self, number: int) -> RoundFolder:
        return self.run.round(number)

    def model_of(self, number: int) -> str:
        """Where the model lies that round `number` left; round 0 is the base."""
        return str(copies.fetch(self.round(number).model)) if number else names.model_folder(self.recipe.model.name)

    def load_model(self, number: int) -> VLM:
        """The model that round `number` left, loaded once and kept until another is asked for."""
        name = self.model_of(number)
        if self._held is None or self._held[0] != name:
            self.release_model()
            self._held = (name, load_under(self.recipe.model, name))
        return self._held[1]

    def engine(self, vlm: VLM) -> LocalEngine:
        """An engine around `vlm` with the run's batch plan."""
        return LocalEngine(vlm, self.plan["batch"], self.recipe.engine.cache_gb)

    def release_model(self) -> None:
        """Forget the held model, since it was trained on, or since another needs its room."""
        self._held = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def say(self, text: str, style: str = "") -> None:
        self.reporter.say(text, style)

    def say_round(self, number: int) -> None:
        folder = self.round(number)
        state = "goes on" if folder.images.is_file() else "begins"
        start = copies.named(self.model_of(self.start_of(number)))
        self.say(f"Round {number} of {self.recipe.run.rounds} {state} from {start}", "bold")

    def say_end(self) -> None:
        last = copies.named(self.model_of(self.start_of(self.last_round() + 1)))
        self.say(f"The last model is in {last}, the report in {self.run.report}", "bold")
        self.say(f"Next: open the report in a browser, or type: sena show {copies.named(self.run.path)}")

    def say_finished(self) -> None:
        show = f"sena show {copies.named(self.run.path)}"
        self.say(f"This run is finished, nothing is left to do. See {self.run.report}, or type: {show}")

    def alarms(self, number: int) -> list[str]:
        """What gave alarm after a round, in words; nothing before it is measured."""
        path = self.round(number).evidence
        return [alarm["text"] for alarm in files.read_json(path).get("alarms", [])] if path.is_file() else []

    def start_of(self, number: int) -> int:
        """The round whose model round `number` begins from: the one before, or with `rollback` the last one that gave
        no alarm (0 is the base)."""
        before = number - 1
        while before and self.recipe.eval.on_regression == "rollback" and self.alarms(before):
            before -= 1
        return before

    def stops_after(self, number: int) -> bool:
        """Whether no round follows: it was the last, or it gave alarm and the recipe wants to stop then."""
        last = number == self.recipe.run.rounds
        return last or (number > 0 and self.recipe.eval.on_regression == "stop" and bool(self.alarms(number)))

    def last_round(self) -> int:
        """The round after which the run ends, as far as is known by now."""
        return next(number for number in range(self.recipe.run.rounds + 1) if self.stops_after(number))

    def is_finished(self) -> bool:
        """Whether the last round's evidence and the report are there, and nothing went wrong between the two."""
        there = self.round(self.last_round()).evidence.is_file() and self.run.report.is_file()
        return there and not self.run.stopped.is_file()

    @contextmanager
    def timed(self, number: int, name: str, total: int, done: int = 0) -> Iterator[Task]:
        """A stage on the reporter; its seconds and peak memory go to metrics.jsonl."""
        reset_peak()
        with self.reporter.stage(name, total, done) as task:
            yield task
        figures = {"seconds": round(task.seconds, 3), "count": task.done, **peak_memory()}
        if task.done:
            self.metrics.log(number, name, figures)


@contextmanager
def open_job(recipe: Recipe, out: Path, reporter: Reporter | None) -> Iterator[Job]:
    """Create the run folder or reopen it. Raises RunFolderError naming the keys in which the recipe has changed."""
    reporter, recipe = reporter or Reporter(), _pinned(recipe)
    trackers.demand(recipe.run.trackers)
    if (out / "manifest.json").is_file():
        run = open_run(out)
        _refuse_changes(recipe, run)
        reporter.log = run.log
        reporter.say(f"Going on with the run in {copies.named(out)}")
    else:
        _demand_usable(recipe)
        run = create_run(out, recipes.dump(recipe), _manifest(recipe))
        reporter.log = run.log
        reporter.say(f"A new run in {copies.named(out)}")
        for remark in _remarks(recipe):
            reporter.say(remark)
    plan = files.read_json(run.manifest)["plan"]
    settle(recipe, plan)
    told = Trackers(recipe.run.trackers, run.path.resolve().name, recipe.model_dump(mode="json"), run.metrics)
    metrics = Metrics(run.metrics, run.path / "tensorboard", told)
    try:
        yield Job(recipe, run, reporter, metrics, plan)
    finally:
        metrics.close()


def _remarks(recipe: Recipe) -> list[str]:
    """What to know of the model before it is asked."""
    model = names.model_folder(recipe.model.name)
    said = [families.remark(families.kind(load_config(model)))]
    if stranger.is_miniature(model):
        said.append(stranger.hint_of(model, names.sources(recipe.images)))
    return [f"note: {each}" for each in said if each]


def settle(recipe: Recipe, plan: dict[str, Any]) -> None:
    """What every process of a run sets before it computes, so that all give the same bytes."""
    torch.set_num_threads(plan["threads"])
    if resolve_device(recipe.model.device).type == "cpu":  # on a GPU it costs speed, and bytes are promised on CPUs
        torch.use_deterministic_algorithms(True, warn_only=True)


def _demand_usable(recipe: Recipe) -> None:
    """What can be told in seconds is told before a run folder is made, which would then hold the mistaken recipe.

    Raises SenaError when there is no such model, or no pictures, or a corruption that this model's input forbids.
    """
    if recipe.compute.kind == "ray":
        demand_ray()
    started.demand(recipe.engine)
    vlm = load_without_weights(names.model_folder(recipe.model.name))
    bound(vlm, recipe.model.picture_tokens)
    demand(vlm, recipe.corruption.kind, recipe.corruption.strength)
    for source in names.sources(recipe.images, recipe.question.given):
        source.list()
    names.benchmarks(recipe.eval)


def _pinned(recipe: Recipe) -> Recipe:
    """With a run for its model, the recipe names that run's model of today, since that run may go on."""
    if recipe.model.name == "mini":
        return recipe
    model = recipe.model.model_copy(update={"name": copies.named(names.model_or_run(recipe.model.name))})
    return recipe.model_copy(update={"model": model})


def _refuse_changes(recipe: Recipe, run: RunFolder) -> None:
    old, _ = recipes.load(Recipe, run.recipe)
    keys = [key for key in recipes.differing_keys(old, recipe) if not key.startswith(MAY_CHANGE)]
    if keys:
        path = copies.named(run.path)
        raise RunFolderError(
            f"{path} was begun with another recipe (it differs in {', '.join(keys)}): "
            f"choose another --out, or run `sena evolve {run.recipe} --out {path}` to go on with the old one"
        )


def _manifest(recipe: Recipe) -> dict[str, Any]:
    import transformers

    import sena

    device = resolve_device(recipe.model.device)
    engine = recipe.engine
    return {
        "created": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "seed": recipe.run.seed,
        "versions": {
            "sena": sena.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "git": git_commit(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "plan": {
            "threads": engine.threads or _threads(recipe),
            "batch": engine.batch,
            "shard": engine.shard,
            "window": engine.window,
            "dtype": str(resolve_dtype(recipe.model.dtype, device)).removeprefix("torch."),
        },
    }


def _threads(recipe: Recipe) -> int:
    """The machine's processors, shared out among the workers that will be on it."""
    compute = recipe.compute
    if compute.kind == "ray" and compute.ray.num_cpus:
        return max(1, int(compute.ray.num_cpus))
    here = 0 if compute.kind == "ray" and compute.ray.address else compute.workers
    gpus = torch.cuda.device_count() if resolve_device(recipe.model.device).type == "cuda" else 0
    sharing = 1 if compute.kind == "inline" else here or gpus or 1
    return max(1, (os.cpu_count() or 1) // sharing)


def git_commit() -> str:
    """The commit of the checkout that sena runs from, or nothing when it is installed otherwise."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
