"""Training by several processes: this one starts them, prints and logs what the first of them tells, and ends them.

They begin when the data half is over, each loading the round's model, and are gone before the next one: so no rank
waits for hours while pairs are made, and no GPU holds two models. What starts them is torchrun, or the recipe's own
launcher. They live on a leash: when this process is killed, they end too.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any, Literal

import torch

from sena import files
from sena.align.config import TrainConfig
from sena.align.ranks import is_launched
from sena.data.actors import demand_ray
from sena.errors import RecipeError, SenaError
from sena.models.load import resolve_device, resolve_dtype
from sena.progress import Task
from sena.recipes.recipe import Recipe
from sena.rounds import accelerate_files
from sena.rounds.job import Job
from sena.runs.folder import RunFolder

PROGRAM = "sena.rounds.rank"
RAY = "ray"
"""The launcher that is no command: Ray Train's TorchTrainer."""
ON_RAY, ALONE = "sena.rounds.on_ray", "local"
SETTINGS = "trainers.json"
"""Today's section `train` of the recipe, in the run folder, since a launcher's words may pass through a shell; and how
often batches are halved, which stays until another section is given."""


def is_wanted(settings: TrainConfig) -> bool:
    """Whether other processes train than this one."""
    return bool(settings.launcher) or count(settings) > 1


def count(settings: TrainConfig) -> int:
    """How many processes sena starts itself."""
    if settings.processes == "auto":
        return max(torch.cuda.device_count(), 1)
    return settings.processes


def demand(recipe: Recipe) -> None:
    """Raises SenaError for what would only show when the pairs are made."""
    if is_launched():
        raise SenaError(
            "sena starts its training processes itself: type the command without torchrun or accelerate in front, "
            "and set train.processes, or train.launcher for several machines"
        )
    if not is_wanted(recipe.train):
        return
    if recipe.model.device not in ("auto", "cpu", "cuda"):
        raise RecipeError(
            f"train.processes gives every process a GPU of its own: set model.device to auto in place of "
            f"{recipe.model.device}"
        )
    words, device = _words(recipe.train), resolve_device(recipe.model.device)
    if accelerate_files.is_accelerate(words):
        accelerate_files.demand(words, recipe.train, str(resolve_dtype(recipe.model.dtype, device)).rpartition(".")[2])
    if words == [RAY]:
        demand_ray("train.launcher")
    program = _launcher(recipe)[0]
    if shutil.which(program) is None:
        raise RecipeError(f"train.launcher: there is no program {program} here: give its whole path, or install it")
    gpus = torch.cuda.device_count()
    if not words and device.type == "cuda" and count(recipe.train) > gpus:
        raise RecipeError(f"train.processes is {recipe.train.processes}, and torch sees {gpus} GPUs: set it to auto")


def run(job: Job, number: int, part: Literal["reference", "train"]) -> None:
    """Do that part of round `number` in as many processes as the recipe names. Raises SenaError where they cannot.

    Where memory did not suffice in the middle of what all do together, all begin anew from the last checkpoint, with
    smaller batches: to end a process is the only sure way out of what it has half done with others.
    """
    job.release_model()  # they need its room
    halvings = _write_settings(job, 0)
    while more := _run_once(job, number, part):
        halvings = _write_settings(job, halvings + more)
        job.say(f"  memory did not suffice: all processes begin anew, with batches halved {halvings}x")


def read_settings(run: RunFolder) -> TrainConfig:
    """What ranks train by."""
    stored = files.read_json(run.path / SETTINGS)
    given, halvings = TrainConfig.model_validate(stored["train"]), stored["halvings"]
    tokens, pairs = max(given.batch_tokens >> halvings, 1), max(given.pairs_per_batch >> halvings, 1)
    return given.model_copy(update={"batch_tokens": tokens, "pairs_per_batch": pairs})


def _write_settings(job: Job, halvings: int) -> int:
    """Returns how often batches are halved: no less than what an earlier part of the run needed by these settings."""
    path, train = job.run.path / SETTINGS, job.recipe.train.model_dump(mode="json")
    earlier = files.read_json(path) if path.is_file() else {}
    if earlier.get("train") == train:
        halvings = max(halvings, earlier["halvings"])
    files.write_json(path, {"train": train, "halvings": halvings})
    return halvings


def _run_once(job: Job, number: int, part: str) -> int:
    """Returns how many times batches have to be halved before it is tried again: 0 when it is done."""
    program = ["-m", PROGRAM, str(job.run.path.resolve()), str(number), part]
    command = [sys.executable, "-m", "sena.engines.leash", *_launcher(job.recipe), *program]
    log = job.run.path / "trainers.log"
    with (
        open(log, "a") as words,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words, text=True) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdin:  # the leash: closed in any case
            faults = _listen(job, process.stdout)
            code = process.wait()
    halvings = max((fault["halvings"] for fault in faults if fault["kind"] == "memory"), default=0)
    if (code or faults) and not halvings:
        raise _fault(faults, f"see {log}")
    return halvings


def _launcher(recipe: Recipe) -> list[str]:
    """What a program is started by."""
    settings, words = recipe.train, _words(recipe.train)
    if words == [RAY]:
        ray = recipe.compute.ray
        device = "cuda" if ray.num_gpus else recipe.model.device
        return [sys.executable, "-m", ON_RAY, ray.address or ALONE, str(settings.processes), device]
    if accelerate_files.is_accelerate(words):
        return accelerate_files.command(words, settings, count(settings))
    processes = str(count(settings))
    return words or [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", processes]


def _words(settings: TrainConfig) -> list[str]:
    """The recipe's own launcher, or nothing. Raises RecipeError when it is no command."""
    try:
        return shlex.split(settings.launcher)
    except ValueError as error:
        raise RecipeError(f"train.launcher cannot be read as a command: {error}") from error


def _listen(job: Job, lines: Iterable[str]) -> list[dict[str, Any]]:
    """Do here what the first rank would, were it this process. Returns what ranks say that went wrong."""
    faults: list[dict[str, Any]] = []
    task: Task | None = None
    with ExitStack() as stage:
        for line in lines:
            match event := _event(line):
                case {"event": "say", "text": text, "style": style}:
                    job.say(text, style)
                case {"event": "log", "values": values}:
                    job.metrics.show(event["round"], event["stage"], values, event["step"])
                case {"event": "begin", "name": name, "total": total, "done": done}:
                    task = stage.enter_context(job.reporter.stage(name, total, done))
                case {"event": "show", "done": done, "before": before, "total": total, "note": note} if task:
                    task.total, task.before = total, before
                    task.advance(done - task.done, note)
                case {"event": "end"}:
                    stage.close()
                case {"event": "failed"}:
                    faults.append(event)
                case _:
                    pass  # what a launcher or a library prints
    return faults


def _event(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _fault(faults: list[dict[str, Any]], where: str) -> Exception:
    """A user's mistake as such, whoever met it; else a fault of ours; else a process that just ended."""
    for fault in faults:
        if fault["kind"] == "mistake":
            return SenaError(fault["text"])
    for fault in faults:
        if fault["kind"] == "ours":
            return RuntimeError(f"{fault['text']} (in a training process, {where})")
    return SenaError(
        f"A training process ended before its time, often for want of memory ({where}): "
        "type the same command to go on from the last checkpoint"
    )
