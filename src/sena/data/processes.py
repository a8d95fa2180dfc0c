"""Workers as processes of this machine, each with a GPU of its own where there are any.

A worker is `python -m sena.data.process`: an order and tasks go in as lines of JSON, answers come back as such. Not the
library's own pool, whose children run the user's script again and whose pool ends with the first child that is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sena.data.crew import Answer, Hand, Make, Order, Task


@dataclass(eq=False, slots=True)
class Process:
    """A worker's process; a thread hands on what it says."""

    child: subprocess.Popen[str]
    place: int
    first: str
    log: str
    answers: queue.Queue[tuple[Hand, Answer]]

    def prepare(self) -> None:
        self._say(self.first)

    def ask(self, task: Task) -> None:
        self._say(json.dumps(asdict(task)))

    def dismiss(self) -> None:
        self.child.kill()
        self.child.wait()

    def listen(self) -> None:
        """Runs in the thread, until the process ends. What is no answer (a half line of a dying process) is passed
        over."""
        self.answers.put((self, Answer("started")))
        assert self.child.stdout is not None
        for line in self.child.stdout:
            with contextlib.suppress(json.JSONDecodeError, TypeError):
                self.answers.put((self, Answer(**json.loads(line))))
        self.answers.put((self, Answer("died", _end(self.child.wait(), self.log))))

    def _say(self, line: str) -> None:
        assert self.child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has died: the thread tells
            self.child.stdin.write(line + "\n")
            self.child.stdin.flush()


@dataclass(slots=True)
class Processes:
    """Starts workers. What they print goes to the file `log`."""

    size: int
    make: Make
    order: Order
    threads: int
    gpus: Sequence[str]
    log: Path
    _answers: queue.Queue[tuple[Hand, Answer]] = field(default_factory=queue.Queue)
    _all: list[Process] = field(default_factory=list)

    def hire(self) -> Process:
        place = min(set(range(self.size)) - {each.place for each in self._all if each.child.poll() is None})
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads)}
        if self.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpus[place % len(self.gpus)]
        with open(self.log, "a") as log:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "sena.data.process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the parent, which ends its workers
            )
        first = json.dumps({"make": f"{self.make.__module__}:{self.make.__qualname__}", "order": self.order})
        hand = Process(child, place, first, self.log.name, self._answers)
        self._all.append(hand)
        threading.Thread(target=hand.listen, daemon=True).start()
        return hand

    def wait(self, hands: Collection[Hand], seconds: float) -> list[tuple[Hand, Answer]]:
        """The next answer. Those of processes that were ended meanwhile come too."""
        with contextlib.suppress(queue.Empty):
            return [self._answers.get(timeout=seconds)]
        return []

    def close(self) -> None:
        for each in self._all:
            each.dismiss()


@contextlib.contextmanager
def processes(size: int, make: Make, order: Order, threads: int, gpus: Sequence[str], log: Path) -> Iterator[Processes]:
    """A crew of at most `size` processes, one for each of `gpus` in turn. At the end none is left."""
    crew = Processes(size, make, order, threads, gpus, log)
    try:
        yield crew
    finally:
        crew.close()


def visible_gpus(count: int) -> list[str]:
    """How each of the `count` GPUs that this process sees is named to a child."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return named.split(",")[:count] if named else [str(place) for place in range(count)]


def _end(code: int, log: str) -> str:
    if code >= 0:
        return f"ended with status {code} (see {log})"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"
