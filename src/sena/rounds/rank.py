"""One of several processes that train together: `python -m sena.rounds.rank RUN ROUND reference|train`.

A launcher starts it (`launch.py`; on a Ray cluster `on_ray.py`). All ranks do the same; the first one writes the files,
and tells on its standard output, as one JSON object a line, what the process that started them shall print and log.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from sena import files
from sena.align import ranks, reference
from sena.errors import BatchError, SenaError
from sena.models.load import resolve_device
from sena.progress import Reporter, Task
from sena.recipes import load as recipes
from sena.recipes.recipe import Recipe
from sena.records import Pair
from sena.rounds import accelerate_files, launch, training_half
from sena.rounds.job import Job, settle
from sena.runs import tables
from sena.runs.folder import locked, open_run
from sena.runs.metrics import Metrics

LONGEST = 3000
"""Bytes of an event's text as JSON: what a pipe takes from several writers without mixing them."""


Write = Callable[[dict[str, Any]], Any]
"""Hands an event on to the process that started the ranks."""


class Teller(Reporter):
    """A reporter that only tells; those of other ranks than the first are silent."""

    def __init__(self, speaks: bool, write: Write) -> None:
        super().__init__()
        self.speaks, self.write = speaks, write

    def tell(self, event: str, **values: Any) -> None:
        if self.speaks:
            self.write({"event": event, **values})

    def say(self, text: str, style: str = "") -> None:
        self.tell("say", text=_short(text), style=style)

    @contextmanager
    def stage(self, name: str, total: int, done: int = 0) -> Iterator[Task]:
        self.tell("begin", name=name, total=total, done=done)
        yield Task(name, total, self)
        self.tell("end")

    def show(self, task: Task, note: str) -> None:
        self.tell("show", done=task.done, before=task.before, total=task.total, note=note)


class Figures(Metrics):
    """The first rank writes metrics.jsonl itself, so that no line of a step is missing when a checkpoint holds it."""

    def __init__(self, path: Path, teller: Teller) -> None:
        super().__init__(path)
        self.teller = teller

    def log(self, round: int, stage: str, values: Mapping[str, float | int | str], step: int = 0) -> None:
        if self.teller.speaks:
            super().log(round, stage, values, step)

    def show(self, round: int, stage: str, values: Mapping[str, float | int | str], step: int = 0) -> None:
        self.teller.tell("log", round=round, stage=stage, values=dict(values), step=step)


def write(event: dict[str, Any]) -> None:
    """The event as a line on standard output, whole even where several ranks share it."""
    os.write(sys.stdout.fileno(), (json.dumps(event) + "\n").encode())


@contextmanager
def telling(write: Write) -> Iterator[None]:
    """What goes wrong inside is told before it is raised."""
    try:
        yield
    except BaseException as error:
        traceback.print_exc()
        kind = _kind(error)
        text = str(error) if isinstance(error, SenaError) else f"{type(error).__name__}: {error}"
        halvings = error.halvings if isinstance(error, BatchError) else 0
        write({"event": "failed", "kind": kind, "text": _short(text), "halvings": halvings})
        raise


def work(path: Path, number: int, part: str, write: Write) -> None:
    """Score the references of round `number`, or train its policy, with all other ranks of the process group."""
    run = open_run(path)
    recipe, _ = recipes.load(Recipe, run.recipe)
    recipe = recipe.model_copy(update={"train": launch.read_settings(run)})
    plan = files.read_json(run.manifest)["plan"]
    accelerate_files.demand_here(recipe.train, plan["dtype"])
    settle(recipe, plan)
    torch.set_num_threads(max(1, plan["threads"] // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
    with ranks.joined(resolve_device(recipe.model.device)), ExitStack() as lock:
        here = ranks.here()
        teller = Teller(here.leads, write)
        job = Job(recipe, run, teller, Figures(run.metrics, teller), plan)
        folder = job.round(number)
        here.together(lambda: lock.enter_context(locked(folder.checkpoints)) if here.leads else None)
        pairs = tables.read(folder.table("pairs"), Pair)
        if part == "reference":
            training_half.score_here(job, number, pairs)
        else:
            training_half.train_here(job, number, pairs, reference.read(folder.reference))


def _short(text: str) -> str:
    """As many letters as `LONGEST` allows: one that is not ASCII takes up to twelve bytes."""
    sizes = itertools.accumulate(len(json.dumps(letter)) - 2 for letter in text)
    return "".join(letter for letter, size in zip(text, sizes, strict=True) if size <= LONGEST)


def _kind(error: BaseException) -> str:
    """`memory` that smaller batches may need less of, a `mistake` of the user, `lost` when another rank does not answer
    any more, or `ours`."""
    if isinstance(error, BatchError):
        return "memory"
    if isinstance(error, SenaError):
        return "mistake"
    is_lost = isinstance(error, torch.distributed.DistError) or "gloo" in str(error)
    return "lost" if is_lost else "ours"


if __name__ == "__main__":
    try:
        with telling(write):
            work(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], write)
    except BaseException:
        sys.stderr.flush()
        os._exit(1)  # without a farewell, for which the other ranks would have to come
