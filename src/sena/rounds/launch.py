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
from sena.errors import RecipeError, SenaError
from sena.models.load import resolve_device, resolve_dtype
from sena.progress import Task
from sena.recipes.recipe import Recipe
from sena.rounds import accelerate_files
from sena.rounds.job import Job

PROGRAM = "sena.rounds.rank"
SETTINGS = "trainers.json"
"""Today's section `train` of the recipe, in the run folder: a launcher's words may pass through a shell."""


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
    program = _launcher(recipe.train)[0]
    if shutil.which(program) is None:
        raise RecipeError(f"train.launcher: there is no program {program} here: give its whole path, or install it")
    gpus = torch.cuda.device_count()
    if not words and device.type == "cuda" and count(recipe.train) > gpus:
        raise RecipeError(f"train.processes is {recipe.train.processes}, and torch sees {gpus} GPUs: set it to auto")


def run(job: Job, number: int, part: Literal["reference", "train"]) -> None:
    """Do that part of round `number` in as many processes as the recipe names. Raises SenaError where they cannot."""
    job.release_model()  # they need its room
    files.write_json(job.run.path / SETTINGS, job.recipe.train.model_dump(mode="json"))
    program = ["-m", PROGRAM, str(job.run.path.resolve()), str(number), part]
    command = [sys.executable, "-m", "sena.engines.leash", *_launcher(job.recipe.train), *program]
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
    if code or faults:
        raise _fault(faults, f"see {log}")


def _launcher(settings: TrainConfig) -> list[str]:
    """What a program is started by."""
    words = _words(settings)
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
                case {"event": "show", "done": done, "total": total, "note": note} if task is not None:
                    task.total = total
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
