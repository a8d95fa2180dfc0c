"""Numbers over time: one JSON object a line in metrics.jsonl, the same as TensorBoard events, and to other trackers."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sena import files
from sena.runs.trackers import Trackers


class Metrics:
    """Appends; a reader merges the lines of a (round, stage, step), since a resumed run repeats a few."""

    def __init__(self, path: Path, events: Path | None = None, trackers: Trackers | None = None) -> None:
        self.path = path
        self._events, self._trackers = events, trackers
        self._writer: Any = None

    def log(self, round: int, stage: str, values: Mapping[str, float | int | str], step: int = 0) -> None:
        """One line, and one scalar for each number."""
        line = {"round": round, "stage": stage, "step": step, "time": round_seconds(time.time()), **values}
        files.append(self.path, json.dumps(line, ensure_ascii=False) + "\n")
        self.show(round, stage, values, step)

    def show(self, round: int, stage: str, values: Mapping[str, float | int | str], step: int = 0) -> None:
        """To TensorBoard and trackers alone, for a line that another process has written."""
        if self._events is not None:
            self._tell_tensorboard(f"round-{round}/{stage}", values, step)
        if self._trackers is not None:
            self._trackers.log(f"round-{round}/{stage}", values, step)

    def _tell_tensorboard(self, prefix: str, values: Mapping[str, float | int | str], step: int) -> None:
        if self._writer is None:  # opened late: a finished run that is looked at again leaves no empty file of events
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self._events))
        for name, value in values.items():
            if isinstance(value, int | float):
                self._writer.add_scalar(f"{prefix}/{name}", value, step)
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._trackers is not None:
            self._trackers.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, those of one (round, stage, step) as one: a stage's cost and its figures come in two.

    Of a field that was logged twice, as after a resume, the last value counts. What is no such line is left out.
    """
    merged: dict[tuple[Any, Any, Any], dict[str, Any]] = {}
    for text in path.read_text(errors="replace").splitlines() if path.is_file() else []:
        try:
            line = json.loads(text)
            key = line["round"], line["stage"], line["step"]
        except (json.JSONDecodeError, KeyError, TypeError):
            continue
        merged.setdefault(key, {}).update(line)
    return list(merged.values())


def round_seconds(seconds: float) -> float:
    return int(seconds * 1000) / 1000


def peak_memory() -> dict[str, int]:
    """Largest memory so far, in bytes: of this process, and of the GPU since `reset_peak`."""
    import resource
    import sys

    import torch

    unit = 1 if sys.platform == "darwin" else 1024
    peak = {"peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if torch.cuda.is_available():
        peak["peak_gpu_bytes"] = torch.cuda.max_memory_allocated()
    return peak


def reset_peak() -> None:
    """Begin a new GPU high-water mark. The process's own cannot be reset."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
