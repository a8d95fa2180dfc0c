"""The part of benchmarks/scale.py that runs inside sena's own processes: what is scripted there, and what is timed.

Scripted are the pictures (a file of one colour, followed by its number), the model's replies, and its failures. All
else is sena's own code.
"""

from __future__ import annotations

import functools
import io
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from PIL import Image as PIL

from sena import ids
from sena.data import shards
from sena.data.crew import Order, Task
from sena.data.make_pairs import Tables, make_pairs
from sena.engines.base import OpenImage
from sena.engines.scripted import ScriptedEngine
from sena.images.paths import Paths
from sena.recipes import names
from sena.recipes.recipe import Recipe, load_recipe
from sena.records import Image, Reply, Request
from sena.rounds import data_half, evolve, mapping, worker

Fault = Literal["killed", "raises", "hangs", "poisoned"]
PHASES = "phases.jsonl"
MANY = 200_000
"""Images from which on a worker may take its time to start, and not every shard goes through all stages."""
FEW = 5000
COPIED = 10
"""Of so many shards one does."""
_make = worker.make


@functools.cache
def one_colour() -> bytes:
    buffer = io.BytesIO()
    PIL.new("RGB", (64, 64), (90, 120, 40)).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Records:
    """A source of `count` different files that need no disk: what a decoder passes over behind the picture differs."""

    count: int
    name: str = "records"

    def list(self) -> Sequence[str]:
        return Paths.of(f"{number:09d}.png" for number in range(self.count))

    def read(self, path: str) -> bytes:
        return content(int(path.removesuffix(".png")))


def content(number: int) -> bytes:
    return one_colour() + number.to_bytes(8, "big")


def faults(count: int) -> dict[str, Fault]:
    """By image id: three workers die, two engines raise, one hangs, each once; one picture kills whoever takes it. Few
    images have only two of these."""
    kinds: list[Fault] = ["killed", "raises", "hangs", "killed", "poisoned", "raises", "killed"]
    kinds = kinds if count >= FEW else kinds[:2]
    return {ids.of_bytes(content(count * place // len(kinds))): kind for place, kind in enumerate(kinds)}


def recipe_for(count: int, shard: int, hang_minutes: float) -> Recipe:
    settings = [
        "compute.kind=ray", "compute.workers=2", "engine.threads=1", f"engine.shard={shard}", "engine.window=48",
        f"compute.timeout_minutes={hang_minutes}", "eval.benchmarks=[mini]",
    ]  # fmt: skip
    return load_recipe("sena", model="mini", images="mini", rounds=1, limit=count, settings=settings)


REPLIES = {"question": "What is written on sign {name}?", "check": "QUESTION: What is written on sign {name}?"}
DESCRIPTION = (
    "A road sign with the letters {name} stands beside a field of barley, and behind it {what} leans on a low stone "
    "wall under a grey sky."
)


def script(request: Request) -> str:
    """Replies of about the length that a model gives. One picture in ten gets a rejected answer that a filter drops."""
    _, stage, _, part = request.id.split("/")
    name = request.image or ""
    if stage in REPLIES:
        return REPLIES[stage].format(name=name)
    if stage == "enhance":
        return f"Improved answer: the letters {name}"
    if part.startswith("desc"):
        return DESCRIPTION.format(name=name, what="a red tractor" if request.corruption else "a bicycle")
    return f"the letters {name}" if not request.corruption or name[0] == "0" else "a warning of deer"


@dataclass(slots=True)
class Played:
    """The scripted engine as a worker wants it, with failures. `marks` is where those that come once are remembered."""

    faults: Mapping[str, Fault]
    marks: Path
    engine: ScriptedEngine = field(default_factory=lambda: ScriptedEngine(script))
    offers: frozenset[Literal["generate", "score"]] = frozenset({"generate"})
    batch: int = 64
    halvings: int = 0
    why: str = ""

    def generate(self, requests: Sequence[Request], open_image: OpenImage) -> list[Reply]:
        for request in requests:
            if request.image is not None and request.image in self.faults:
                self._suffer(request.image, self.faults[request.image])
        return self.engine.generate(requests, open_image)

    def _suffer(self, image: str, fault: Fault) -> None:
        mark = self.marks / f"{fault}-{image}"
        if mark.exists() and fault != "poisoned":
            return
        mark.touch()
        if fault == "raises":
            raise RuntimeError("the engine failed, as it was told to")
        if fault == "hangs":
            time.sleep(3600)
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(slots=True)
class Copies:
    """In place of `make_pairs` where images are many: one shard in `every` goes through all stages, the others get its
    rows with their own names and ids. Images with a failure to come always go through the stages."""

    every: int
    faults: Mapping[str, Fault]
    mould: list[list[tuple[str, type, list[Any], Marks]]] = field(default_factory=list)
    """By image, the records that came of it: table, type, values, and which of them hold which of the image's ids."""
    since: int = 0

    def __call__(self, images: Sequence[Image], *rest: Any) -> Tables:
        self.since += 1
        fits = self.mould and self.since < self.every and len(images) <= len(self.mould)
        if fits and not any(image.id in self.faults for image in images):
            return self._cast(images)
        made = make_pairs(images, *rest)
        if not any(image.id in self.faults for image in images):
            self.mould, self.since = self._taken(images, made), 0
        return made

    def _taken(self, images: Sequence[Image], made: Tables) -> list[list[tuple[str, type, list[Any], Marks]]]:
        found: dict[str, list[tuple[str, type, list[Any], Marks]]] = {image.id: [] for image in images}
        for name in shards.KINDS:
            for record in getattr(made, name):
                values = [getattr(record, each.name) for each in fields(record)]
                found[record.image_id].append((name, type(record), values, marks(values, own_ids(record.image_id))))
        return list(found.values())

    def _cast(self, images: Sequence[Image]) -> Tables:
        made = Tables()
        for image, records in zip(images, self.mould, strict=False):
            own = own_ids(image.id)
            for name, kind, values, marked in records:
                filled = list(values)
                for place, which, pieces in marked:
                    texts = tuple(own[which].join(each) for each in pieces)
                    filled[place] = texts if isinstance(values[place], tuple) else texts[0]
                getattr(made, name).append(kind(*filled))
        return made


Marks = list[tuple[int, int, list[list[str]]]]


def own_ids(image: str) -> tuple[str, ...]:
    """Of an image, its row, and the row's two pairs."""
    row = ids.child(image, "row", 0)
    return image, row, ids.child(row, "description"), ids.child(row, "answer")


def marks(values: Sequence[Any], own: Sequence[str]) -> Marks:
    """(place, which id, what stands around it in each text) for all texts, or several of them, that hold an id."""
    found: Marks = []
    for place, value in enumerate(values):
        texts = [each for each in (value if isinstance(value, tuple) else [value]) if isinstance(each, str)]
        found += [
            (place, which, [text.split(each) for text in texts])
            for which, each in enumerate(own)
            if any(each in text for text in texts)
        ]
    return found


@dataclass(slots=True)
class Idle:
    """A worker that also tells how long it waited for its next shard."""

    worker: worker.Worker
    ended: float = 0.0

    def run(self, task: Task) -> dict[str, Any]:
        waited = time.monotonic() - self.ended if self.ended else 0.0
        begun = time.process_time()
        made = self.worker.run(task)
        self.ended = time.monotonic()
        own = {"waited": waited, "processor": time.process_time() - begun}
        return {**made, "seconds": {**made["seconds"], **own}}


def make(order: Order) -> Idle:
    """In place of `rounds/worker.py`'s, in every worker: its own work on scripted pictures and replies."""
    play(order["recipe"]["run"]["images_per_round"], Path(order["run"]).parent)
    return Idle(_make(order))


def play(count: int, notes: Path) -> None:
    """Put the script in place of pictures and model, in this process."""
    names.sources = lambda *_: [Records(count)]
    worker.data_engine = lambda *_: Played(faults(count), notes)  # type: ignore[assignment]
    if count > MANY:
        worker.make_pairs = Copies(COPIED, faults(count))  # type: ignore[assignment]
    worker.make = make  # type: ignore[assignment]


def drive(out: Path, count: int, shard: int) -> None:
    """`sena pairs` on the records, its steps timed. Started a second time it goes on."""
    hang_minutes = 2.0 if count <= MANY else 6.0
    play(count, out.parent)
    log = out.parent / PHASES
    for module, name in ((data_half, "draw_images"), (shards, "compact"), (evolve, "tell"), (mapping, "work_off")):
        setattr(module, name, timed(log, name, getattr(module, name)))
    begun = timed(log, "pairs", evolve.pairs)
    begun(recipe_for(count, shard, hang_minutes), out)


def timed(log: Path, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """`work`, with a line in `log` at its start and one at its end."""

    def wrapped(*arguments: Any) -> Any:
        with phase(log, name) as told:
            if name == "work_off":
                told["made"] = len(arguments[1])
                arguments = (Waiting(arguments[0], told), *arguments[1:])
            return work(*arguments)

    return wrapped


@contextmanager
def phase(log: Path, name: str) -> Iterator[dict[str, Any]]:
    """Seconds by both clocks, resident memory before, after and at most (Linux). Phases may lie in one another."""
    told: dict[str, Any] = {"phase": name}
    begun, used, before = time.time(), time.process_time(), memory()["VmRSS"]
    _line(log, {"phase": name, "begun": begun})
    Path("/proc/self/clear_refs").write_text("5")  # a new high-water mark: an outer phase sees what follows the last
    yield told
    peak = memory()["VmHWM"]
    spent = {"seconds": time.time() - begun, "processor_seconds": time.process_time() - used}
    _line(log, {**told, **spent, "rss_before": before, "rss_after": memory()["VmRSS"], "rss_peak": peak})


def memory() -> dict[str, int]:
    """Of this process, in bytes."""
    lines = [line.split() for line in Path("/proc/self/status").read_text().splitlines()]
    return {line[0].rstrip(":"): int(line[1]) * 1024 for line in lines if line[0] in ("VmRSS:", "VmHWM:")}


def _line(log: Path, told: Mapping[str, Any]) -> None:
    with open(log, "a") as handle:
        handle.write(json.dumps(told) + "\n")


@dataclass(slots=True)
class Waiting:
    """A crew that tells how long the driver waited for answers; the rest of its time is its own work."""

    crew: Any
    told: dict[str, Any]

    @property
    def size(self) -> int:
        return self.crew.size

    def hire(self) -> Any:
        return self.crew.hire()

    def wait(self, hands: Any, seconds: float) -> Any:
        begun = time.monotonic()
        answers = self.crew.wait(hands, seconds)
        self.told["waited"] = self.told.get("waited", 0.0) + time.monotonic() - begun
        self.told["answers"] = self.told.get("answers", 0) + len(answers)
        return answers
