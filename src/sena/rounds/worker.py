"""A worker of the data half: the round's model, loaded once, and shards. The same here, in a process and on a cluster.

An order says in a few plain values what a worker in another process or on another machine needs (`order_for`); the
worker makes itself of it (`make`), and refuses where it would not see the same files as the run.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sena
from sena import copies, files, stores
from sena.data import shards
from sena.data.crew import Order, Task
from sena.data.make_pairs import Tables, make_pairs
from sena.engines.looks import demand
from sena.engines.server import ServerEngine
from sena.engines.vllm import VllmEngine
from sena.errors import ImageError, SenaError
from sena.images.paths import Paths
from sena.images.pictures import Pictures
from sena.images.questions import Asked, by_picture
from sena.models.load import resolve_device, resolve_dtype
from sena.models.template import for_data
from sena.progress import Reporter
from sena.recipes.recipe import Recipe
from sena.records import Image
from sena.rounds.job import Job, settle
from sena.rounds.serving import DataEngine, data_engine, data_model
from sena.runs import tables
from sena.runs.folder import RoundFolder, RunFolder
from sena.runs.metrics import Metrics, peak_memory
from sena.runs.stored import Stored
from sena.stages import StagesConfig
from sena.stages.base import Context

PROBES = 8
"""Images of which the first that can be read is what every worker has to read too."""


@dataclass(slots=True)
class Worker:
    """Makes the pairs of one shard after the other."""

    folder: RoundFolder
    parts: Sequence[Sequence[Image]]
    engine: DataEngine
    pictures: Pictures
    job: Job
    context: Context

    def run(self, task: Task) -> dict[str, Any]:
        """The shard's tables and manifest on disk; a trial (`task.only`) leaves nothing.

        Returns `made` (images), `seconds` by stage, `memory`, `why` prompts read their pictures anew, if they do, and
        the `faults` of a server by kind.
        """
        part, spent = self.parts[task.shard], dict[str, float]()
        images = [each for each in part if each.id not in task.left_out and (not task.only or each.id in task.only)]
        config, plan = self.job.recipe.stages(), self.job.plan
        made = make_pairs(images, self.engine, self.pictures.open, config, self.context, plan["window"], spent)
        if not task.only:
            self._write(task, made)
        done = 0 if task.only else len(part)
        faults = self.engine.take_faults() if isinstance(self.engine, ServerEngine) else {}
        return {"made": done, "seconds": spent, "memory": peak_memory(), "why": self.engine.why, "faults": faults}

    def close(self) -> None:
        """Free what the engine holds in a process of its own."""
        if isinstance(self.engine, VllmEngine):
            self.engine.close()

    def _write(self, task: Task, made: Tables) -> None:
        made.drops += [shards.given_up(image, "worker died") for image in task.left_out]
        plan = {**self.job.plan, "batch": self.engine.batch, "halvings": self.engine.halvings}
        if task.left_out:
            plan["left_out"] = list(task.left_out)
        shards.write_shard(self.folder.shard(task.shard), made, self.parts[task.shard], plan)


def worker_of(job: Job, number: int) -> Worker:
    """A worker for round `number`, whose images are drawn. Raises SenaError for what the model or engine cannot do."""
    folder, config = job.round(number), job.recipe.stages()
    images = Stored(folder.images, Image)
    vlm = data_model(job, number)
    template = for_data(job.recipe.model.data_template, vlm.template, vlm.processor)
    demand(vlm, config.corruption.kind, config.corruption.strength)
    engine = data_engine(job, number, vlm.with_template(template))
    if config.needs_scores and "score" not in engine.offers:
        raise SenaError(
            "This recipe judges answers by their log-probabilities (samples.count, or the filter unsupported), which "
            "its engine cannot tell: use the local engine, or leave them out"
        )
    given = by_picture(tables.read(folder.table("given"), Asked)) if config.question.given else {}
    context = Context(job.recipe.run.seed, number, _ids_for(config, images), given)
    return Worker(folder, shards.split(images, job.plan["shard"]), engine, job.pictures(images), job, context)


def _ids_for(config: StagesConfig, images: Sequence[Image]) -> Sequence[str]:
    """All ids of the round, where a picture may be shown in another one's place."""
    return Paths.of(image.id for image in images) if config.corruption.kind == "other_image" else ()


def order_for(job: Job, number: int, images: Sequence[Image]) -> Order:
    """What a worker elsewhere needs, with what it must see where this process sees it."""
    model = Path(job.model_of(job.start_of(number))).expanduser()
    shown = [job.run.manifest, *(model / name for name in ("config.json", "adapter_config.json"))]
    return {
        "recipe": job.recipe.model_dump(mode="json"),
        "plan": job.plan,
        "round": number,
        "run": copies.named(job.run.path.resolve()),
        "folder": os.getcwd(),
        "version": sena.__version__,
        "files": {copies.named(path.resolve()): files.sha256(path) for path in shown if path.is_file()},
        "image": _readable(job.pictures(images), images),
    }


def make(order: Order) -> Worker:
    """The worker of an order. Raises SenaError naming this node and what it does not see as the run does."""
    _demand_same(order)
    recipe, plan, run = Recipe.model_validate(order["recipe"]), order["plan"], RunFolder(copies.place(order["run"]))
    _fetch(run, order["round"])
    job = Job(recipe, run, Reporter(), Metrics(run.metrics), plan)
    _demand_able(job, order)
    settle(recipe, plan)
    return worker_of(job, order["round"])


def _fetch(run: RunFolder, number: int) -> None:
    """What a round's worker reads of a run in an object store, but for the model."""
    folder = run.round(number)
    before = [run.round(each).evidence for each in range(number)]
    for path in (*before, folder.images, folder.table("given"), folder.path / "server.json"):
        copies.fetch(path)


def take_place(version: str, folder: str, needs_folder: bool = True) -> None:
    """Go to the folder in which the command was typed, on whatever machine this is. Raises SenaError naming the machine
    when it has another sena, or lacks a folder that is needed."""
    node = socket.gethostname()
    if sena.__version__ != version:
        raise SenaError(f"{node} has sena {sena.__version__}, this run {version}: install the same everywhere")
    try:
        os.chdir(folder)  # what the recipe names by relative paths is meant from there
    except OSError as error:
        if needs_folder:
            raise SenaError(f"{node} has no folder {folder}: start sena in one that every node sees") from error


def _demand_same(order: Order) -> None:
    take_place(order["version"], order["folder"], not stores.is_address(order["run"]))
    node = socket.gethostname()
    for path, hashed in order["files"].items():
        here = copies.fetch(path)
        if not here.is_file():
            raise SenaError(
                f"{node} has no file {path}: run folder and model must lie on a disk that every node sees, or in an "
                "object store"
            )
        if files.sha256(here) != hashed:
            raise SenaError(f"{path} is another file on {node} than here: put run folder and model on one shared disk")


def _demand_able(job: Job, order: Order) -> None:
    node, model = socket.gethostname(), job.recipe.model
    precision = str(resolve_dtype(model.dtype, resolve_device(model.device))).removeprefix("torch.")
    if precision != job.plan["dtype"]:
        raise SenaError(
            f"{node} would compute in {precision}, this run does in {job.plan['dtype']}: set model.dtype, for a new run"
        )
    if order["image"]:
        image = Image(**order["image"])
        try:
            job.pictures([image]).read(image.id)
        except ImageError as error:
            raise SenaError(
                f"{node} cannot read {image.source}: {image.path} ({error.reason}): pictures must lie at the "
                "same place for every worker"
            ) from error


def _readable(pictures: Pictures, images: Sequence[Image]) -> dict[str, Any] | None:
    """The first image that can be read; nothing when none of the first few can."""
    for image in images[:PROBES]:
        try:
            pictures.read(image.id)
        except ImageError:
            continue
        return asdict(image)
    return None
