"""What a person sees while a run goes on: a live line in a terminal, plain dated lines everywhere else."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from sena import files

QUIET_SECONDS = 15.0
"""Between two lines of a log at first; a stage that takes long is told of once a minute."""
MINUTE = 60.0
PATIENT_AFTER = 5 * MINUTE
UNITS = {"pairs": "images", "reference": "pairs", "train": "steps", "watch": "pictures", "eval": "items"}
"""What the stages of a run count."""


def unit_of(stage: str) -> str:
    """What a stage counts (`pairs/check` as `pairs`, `eval pope` as `eval`), or nothing."""
    return UNITS.get(stage.partition("/")[0].partition(" ")[0], "")


def duration(seconds: float) -> str:
    """`8 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


@dataclass(slots=True)
class Task:
    """One stage at work. `done` counts up, `before` was done at an earlier start; `note` is a few live figures such as
    the loss."""

    name: str
    total: int
    progress: Reporter
    done: int = 0
    before: int = 0
    started: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)

    def advance(self, count: int = 1, note: str = "") -> None:
        self.done += count
        self.progress.show(self, note)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def rate(self) -> float:
        """Done a second."""
        return self.done / max(self.seconds, 1e-9)

    @property
    def reached(self) -> str:
        """`120 of 300`."""
        return f"{self.before + self.done:,} of {self.total:,}"

    @property
    def left(self) -> str:
        """How long the rest takes at this rate."""
        return duration(max(0, self.total - self.before - self.done) / self.rate) if self.done else "unknown"

    def told_to_log(self) -> bool:
        """Whether a log is due a line; if so, the next one is due later."""
        now = time.monotonic()
        if now - self.told < (QUIET_SECONDS if self.seconds < PATIENT_AFTER else MINUTE):
            return False
        self.told = now
        return True


class Reporter:
    """Prints to a console and, without colours and with the time, to the run's log."""

    def __init__(self, console: Console | None = None, log: Path | None = None) -> None:
        self.console = console or Console(file=sys.stdout, highlight=False)
        self.log = log
        self._bar: Progress | None = None
        self._bar_id = None

    def say(self, text: str, style: str = "") -> None:
        """One line, printed as it is: no markup is read out of it."""
        self.console.print(Text(text, style=style), soft_wrap=True)
        self.note(text)

    def note(self, text: str) -> None:
        """A line for the log alone."""
        if self.log is not None:
            stamp = time.strftime("%Y-%m-%d %H:%M:%S")
            files.append(self.log, "".join(f"{stamp} {line.rstrip()}\n" for line in text.splitlines()))

    def show_table(self, table: object) -> None:
        """A rich renderable, on the console and in the log. What no terminal shows is not padded to its width."""
        plain = Console(width=120, no_color=True, record=True, file=io.StringIO())
        plain.print(table)
        text = "\n".join(line.rstrip() for line in plain.export_text().rstrip().splitlines())
        if self.console.is_terminal:
            self.console.print(table)
        else:
            self.console.print(Text(f"{text}\n"), soft_wrap=True)
        self.note(text)

    @contextmanager
    def stage(self, name: str, total: int, done: int = 0) -> Iterator[Task]:
        """A stage of `total` things; `done` were there before. Ends with one line of what it took."""
        task = Task(name, total, self, before=done)
        if self.console.is_terminal:
            columns = [TextColumn(f"{{task.{part}}}") for part in ("description", "fields[words]", "fields[note]")]
            with Progress(columns[0], BarColumn(14), *columns[1:], console=self.console, transient=True) as bar:
                self._bar, self._bar_id = bar, bar.add_task(f"  {name}", total=total or None, words="", note="")
                try:
                    yield task
                finally:
                    self._bar = self._bar_id = None
        else:
            yield task
        if task.done:
            counted = f"{task.done:,} {unit_of(name)}".rstrip()
            self.say(f"  {name}: {counted} in {duration(task.seconds)} ({task.rate:.1f} a second)")

    def show(self, task: Task, note: str) -> None:
        """The live line; where there is no terminal, and in the log, a line now and then."""
        if self._bar is not None and self._bar_id is not None:
            words = f"{task.reached}, {task.rate:.1f}/s, {task.left} left"
            done = task.before + task.done
            self._bar.update(self._bar_id, total=task.total or None, completed=done, words=words, note=note)
        if 0 < task.before + task.done < task.total and task.told_to_log():
            counted = f"{task.reached} {unit_of(task.name)}".rstrip()
            text = f"  {task.name}: {counted}, {task.rate:.1f} a second, {task.left} left{note and f', {note}'}"
            (self.note if self._bar is not None else self.say)(text)
