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
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

QUIET_SECONDS = 15.0


@dataclass(slots=True)
class Task:
    """One stage at work. `done` counts up; `note` is a few live figures such as the loss."""

    name: str
    total: int
    progress: Reporter
    done: int = 0
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
        self._write(text)

    def show_table(self, table: object) -> None:
        """A rich renderable, on the console and in the log."""
        self.console.print(table)
        plain = Console(width=120, no_color=True, record=True, file=io.StringIO())
        plain.print(table)
        self._write(plain.export_text().rstrip())

    @contextmanager
    def stage(self, name: str, total: int, done: int = 0) -> Iterator[Task]:
        """A stage of `total` things; `done` were there before. Ends with one line of what it took."""
        task = Task(name, total, self)
        if self.console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn())
            with Progress(*columns, TextColumn("{task.fields[note]}"), console=self.console, transient=True) as bar:
                self._bar, self._bar_id = bar, bar.add_task(name, total=total, completed=done, note="")
                try:
                    yield task
                finally:
                    self._bar = self._bar_id = None
        else:
            yield task
        if task.done:
            self.say(f"  {name}: {task.done} in {task.seconds:.0f} s ({task.rate:.1f} a second)")

    def show(self, task: Task, note: str) -> None:
        """The live line; without a terminal one line every quarter of a minute."""
        if self._bar is not None and self._bar_id is not None:
            self._bar.update(self._bar_id, advance=0, completed=task.done, note=note)
        elif time.monotonic() - task.told > QUIET_SECONDS:
            task.told = time.monotonic()
            left = (task.total - task.done) / task.rate
            self.say(f"  {task.name}: {task.done} of {task.total}, {task.rate:.1f} a second, {left:.0f} s left {note}")

    def _write(self, text: str) -> None:
        if self.log is not None:
            stamp = time.strftime("%Y-%m-%d %H:%M:%S")
            with open(self.log, "a") as handle:
                handle.writelines(f"{stamp} {line}\n" for line in text.splitlines())
