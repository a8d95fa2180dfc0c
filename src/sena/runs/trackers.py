"""Numbers over time for Weights & Biases, trackio and MLflow, through accelerate's face for them; none is needed.

Every tracker gets the same names as TensorBoard (`round-1/train/loss/dpo`). A tracker wants one step that only grows,
but every stage counts its own; so the step is the line of metrics.jsonl, and the stage's own step is one of the values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sena.errors import SenaError

PROJECT = "sena"
ALWAYS = "tensorboard"
"""Written whether it is asked for or not."""


def demand(names: Sequence[str]) -> None:
    """Raises SenaError that names what to install for trackers whose package is missing."""
    missing = [name for name in names if name != ALWAYS and find_spec(name) is None]
    if missing:
        raise SenaError(
            f"run.trackers asks for {' and '.join(missing)}, not installed here: pip install {' '.join(missing)}"
        )


class Trackers:
    """The trackers of a run, opened when the first number comes: a finished run looked at again opens nothing."""

    def __init__(self, names: Sequence[str], run: str, settings: Mapping[str, Any], lines: Path) -> None:
        self._names = [name for name in names if name != ALWAYS]
        self._run, self._settings, self._lines = run, settings, lines
        self._open: list[Any] = []
        self._step = 0

    def log(self, prefix: str, values: Mapping[str, float | int | str], step: int) -> None:
        """The numbers among `values`, under `prefix`, after their line was written."""
        if not self._names:
            return
        if not self._open:
            self._step = len(self._lines.read_text().splitlines()) - 1
            self._open = [_start(name, self._run, self._settings) for name in self._names]
        self._step += 1
        numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
        for tracker in self._open:
            tracker.log({f"{prefix}/{name}": value for name, value in {**numbers, "step": step}.items()}, self._step)

    def close(self) -> None:
        for tracker in self._open:
            tracker.finish()
        self._open = []


def _start(name: str, run: str, settings: Mapping[str, Any]) -> Any:
    from accelerate import PartialState
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    PartialState()  # accelerate's own log lines need it
    kind = LOGGER_TYPE_TO_CLASS[name]
    tracker = kind(PROJECT, run_name=run) if name == "mlflow" else kind(PROJECT, name=run)
    tracker.start()
    tracker.store_init_configuration(dict(flat(settings)))
    return tracker


def flat(settings: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted paths and values; what is neither number, text nor nothing is told as text."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value if isinstance(value, int | float | str | None) else str(value)
