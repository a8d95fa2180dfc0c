"""Workers of a real run that answer from a script, and of which those at shard 1 die, whatever part of it they see."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sena.data import shards
from sena.data.crew import Order, Task
from sena.records import Image
from sena.runs import tables
from sena.runs.folder import RunFolder
from tests.data import workers


@dataclass
class DiesAtOne:
    scripted: workers.Scripted

    def run(self, task: Task) -> dict[str, Any]:
        if task.shard == 1 and (not task.only or len(task.only) > 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return {
            **self.scripted.run(task),
            "seconds": {"answer": 0.5},
            "memory": {"peak_rss_bytes": 1},
            "why": "",
            "faults": {},
        }


def make(order: Order) -> DiesAtOne:
    folder = RunFolder(Path(order["run"])).round(order["round"])
    parts = shards.split(tables.read(folder.images, Image), order["plan"]["shard"])
    return DiesAtOne(workers.Scripted(folder, parts))
