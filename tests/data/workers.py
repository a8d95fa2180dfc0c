"""Workers with canned replies for the tests of the pool, some of which die, hang or fail on a picture's name.

They run in processes and Ray's actors, which find them by module and name.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image as PIL

from sena.data import shards
from sena.data.crew import Order, Task
from sena.data.make_pairs import make_pairs
from sena.engines.scripted import ScriptedEngine
from sena.errors import SenaError
from sena.recipes.recipe import load_recipe
from sena.records import Image, Request
from sena.runs.folder import RoundFolder
from sena.stages.base import Context

REPLIES = {"question": "What animal is there?", "check": "QUESTION: What animal is there?", "enhance": "Better: a cat"}


def script(request: Request) -> str:
    """Sees the picture's name, so that rows of different pictures differ."""
    _, stage, _, part = request.id.split("/")
    animal = "dog" if request.corruption else "cat"
    return (
        REPLIES.get(stage) or f"A {animal} named {request.image} {'sits on a sofa' if part.startswith('desc') else ''}"
    )


def images(*names: str) -> list[Image]:
    return [Image(name, "folder", f"{name}.png", "00", 8, 8) for name in names]


@dataclass
class Scripted:
    """Dies of a picture `killer`, and of three or more `heavy` ones; of `first` and `hang` only once."""

    folder: RoundFolder
    parts: Sequence[Sequence[Image]]

    def run(self, task: Task) -> dict[str, Any]:
        part = self.parts[task.shard]
        seen = [each for each in part if each.id not in task.left_out and (not task.only or each.id in task.only)]
        self._suffer([image.id for image in seen])
        stages = load_recipe("sena", images="mini").stages()
        made = make_pairs(seen, ScriptedEngine(script), lambda _: PIL.new("RGB", (8, 8)), stages, Context(0, 1), 4)
        if not task.only:
            made.drops += [shards.given_up(image, "worker died") for image in task.left_out]
            shards.write_shard(self.folder.shard(task.shard), made, part, {"left_out": list(task.left_out)})
        return {
            "made": 0 if task.only else len(part),
            "pid": os.getpid(),
            "gpu": os.environ.get("CUDA_VISIBLE_DEVICES"),
            "threads": torch.get_num_threads(),
        }

    def _suffer(self, names: list[str]) -> None:
        if any(name.startswith("killer") for name in names) or sum(name.startswith("heavy") for name in names) > 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if any(name.startswith("first") for name in names) and self._once("first"):
            os.kill(os.getpid(), signal.SIGKILL)
        if any(name.startswith("hang") for name in names) and self._once("hang"):
            time.sleep(3600)
        if any(name.startswith("slow") for name in names):
            time.sleep(1)
        if any(name.startswith("fault") for name in names):
            raise ZeroDivisionError("a fault of ours")
        if any(name.startswith("mistake") for name in names):
            raise SenaError("No space left: free some")

    def _once(self, what: str) -> bool:
        mark = self.folder.path / f"{what}-was-here"
        was = mark.exists()
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        return not was


def make(order: Order) -> Scripted:
    """The order: `folder`, and the names of each shard's pictures."""
    return Scripted(RoundFolder(Path(order["folder"]), 1), [images(*part) for part in order["parts"]])


def never(order: Order) -> Scripted:
    """Ends before it is ready."""
    raise MemoryError("no room for the model")


def refuses(order: Order) -> Scripted:
    raise SenaError("node-7 has no file /models/x/config.json: mend that")


def with_threads(order: Order) -> Scripted:
    """Settled as a real worker is (`rounds/job.py`), for a run of three threads."""
    from sena.rounds.job import settle

    settle(load_recipe("demo"), {"threads": 3})
    return make(order)
