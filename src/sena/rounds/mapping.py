"""Who makes the shards of a round: this process, processes of this machine, or actors of a Ray cluster."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import torch

from sena import files
from sena.data import shards
from sena.data.actors import actors
from sena.data.blame import Work
from sena.data.crew import OpenCrew, Task
from sena.data.pool import work_off
from sena.data.processes import processes, visible_gpus
from sena.data.shards import Names, Parts
from sena.errors import SenaError
from sena.models.load import resolve_device
from sena.records import Image
from sena.rounds import worker
from sena.rounds.job import Job
from sena.rounds.serving import served
from sena.runs.folder import RoundFolder


@dataclass(slots=True)
class Figures:
    """What the shards took, summed over workers; memory is the largest of any."""

    seconds: Counter[str] = field(default_factory=Counter)
    memory: dict[str, int] = field(default_factory=dict)
    why: str = ""
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, made: dict[str, Any]) -> None:
        self.seconds.update(made["seconds"])
        self.memory = {key: max(value, self.memory.get(key, 0)) for key, value in made["memory"].items()}
        self.why = self.why or made["why"]
        self.faults.update(made["faults"])


def make_shards(job: Job, number: int, images: Sequence[Image], parts: Parts) -> set[int]:
    """Make those of the shards `parts` that are not whole yet.

    Returns the shards that failed if the recipe goes on without them, else raises SenaError that says how many did.
    """
    folder = job.round(number)
    left = [place for place, part in enumerate(parts) if not shards.is_done(folder.shard(place), part)]
    files.remove(folder.failed)
    if not left:
        return set()
    works = [Work(place, Names(parts, place), job.recipe.compute.retries) for place in left]
    before = len(images) - sum(len(work.images) for work in works)
    if before:
        job.say(f"  {before} of {len(images)} images were done before")
    figures = Figures()
    with served(job, number):
        failed = _inline(job, number, works, figures) if _is_inline(job) else _crew(job, number, images, works, figures)
    if figures.why:
        job.say(f"  each prompt read its picture anew, since {figures.why}")
    if figures.faults:
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(figures.faults.items()))
        job.say(f"  faults of the server, tried again where that may help: {told}")
    return _without(job, folder, failed, len(parts))


def _is_inline(job: Job) -> bool:
    return job.recipe.compute.kind == "inline"


def _inline(job: Job, number: int, works: Sequence[Work], figures: Figures) -> list[Work]:
    with (
        closing(worker.worker_of(job, number)) as here,
        job.timed(number, "pairs", sum(len(work.images) for work in works)) as task,
    ):
        for work in works:
            made = here.run(Task(work.shard))
            figures.add(made)
            task.advance(made["made"])
    _log(job, number, figures, task.done)
    return []


def _crew(job: Job, number: int, images: Sequence[Image], works: Sequence[Work], figures: Figures) -> list[Work]:
    job.release_model()  # the workers need its room
    with (
        _open_crew(job, number, images) as crew,
        job.timed(number, "pairs", sum(len(work.images) for work in works)) as task,
    ):

        def tell(made: dict[str, Any]) -> None:
            figures.add(made)
            task.advance(made["made"])

        job.say(f"  up to {crew.size} workers ({job.recipe.compute.kind})")
        failed = work_off(crew, works, job.recipe.compute, tell, job.say)
    _log(job, number, figures, task.done)
    return failed


def _open_crew(job: Job, number: int, images: Sequence[Image]) -> OpenCrew:
    compute, threads = job.recipe.compute, job.plan["threads"]
    order = worker.order_for(job, number, images)
    on_gpu = job.recipe.model.device != "cpu"
    if compute.kind == "ray":
        return actors(compute, worker.make, order, threads, on_gpu)
    gpus = visible_gpus(torch.cuda.device_count()) if resolve_device(job.recipe.model.device).type == "cuda" else []
    size = compute.workers or len(gpus) or max(1, (os.cpu_count() or 1) // threads)
    return processes(size, worker.make, order, threads, gpus, job.run.path / "workers.log")


def _log(job: Job, number: int, figures: Figures, count: int) -> None:
    for stage, seconds in figures.seconds.items():
        job.metrics.log(number, f"pairs/{stage}", {"seconds": round(seconds, 3), "count": count, **figures.memory})


def _without(job: Job, folder: RoundFolder, failed: Sequence[Work], count: int) -> set[int]:
    if not failed:
        return set()
    files.write_json(folder.failed, [work.report() for work in failed])
    what = f"{len(failed)} of {count} shards failed, each with all its workers ({folder.failed} says which and why)"
    if not job.recipe.compute.allow_failed_shards:
        raise SenaError(
            f"{what}: type the same command to try them again, or add --set compute.allow_failed_shards=true to go on "
            "without their images"
        )
    job.say(f"  {what}: the round goes on without their images")
    return {work.shard for work in failed}
