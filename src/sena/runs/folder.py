"""The run folder: where everything lies, what it was made by, and that only one process works in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sena import copies, files, owner
from sena.errors import RunFolderError

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class RoundFolder:
    """One round's part of the run folder. Everything below is made atomically, and its presence means it is whole."""

    path: Path
    number: int

    @property
    def images(self) -> Path:
        return self.path / "images.parquet"

    @property
    def skipped(self) -> Path:
        return self.path / "skipped.parquet"

    def shard(self, number: int) -> Path:
        return self.path / "shards" / f"{number:05d}"

    def table(self, name: str) -> Path:
        """`questions`, `answers`, `pairs`, `drops` or `replies`, compacted over the shards."""
        return self.path / f"{name}.parquet"

    @property
    def funnel(self) -> Path:
        """Counts of rows through the stages: written when the data half is complete."""
        return self.path / "funnel.json"

    @property
    def failed(self) -> Path:
        """Shards that no worker lived through, at the last start: written when there are any."""
        return self.path / "failed_shards.json"

    @property
    def reference(self) -> Path:
        return self.path / "reference"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def training(self) -> Path:
        """Summary of the training half: written when the model is."""
        return self.path / "training.json"

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def adapter(self) -> Path:
        """What LoRA learned in this round, in PEFT's layout; `model` holds it merged."""
        return self.path / "adapter"

    @property
    def evidence(self) -> Path:
        return self.path / "evidence.json"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run on disk."""

    path: Path

    @property
    def recipe(self) -> Path:
        return self.path / "recipe.yaml"

    @property
    def manifest(self) -> Path:
        return self.path / "manifest.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def result(self) -> Path:
        """Which round's model the run stands by: the last one, or with `rollback` the last that gave no alarm."""
        return self.path / "result.json"

    @property
    def stopped(self) -> Path:
        """Why the run ended before its time: written when it fails or is stopped, gone when it goes on."""
        return self.path / "stopped.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    def round(self, number: int) -> RoundFolder:
        """Round 0 holds only the evidence of the base model."""
        return RoundFolder(self.path / f"round-{number}", number)

    def rounds(self) -> list[RoundFolder]:
        """The rounds that have begun, in order, round 0 included."""
        numbers = [
            int(path.name.removeprefix("round-"))
            for path in self.path.glob("round-*")
            if path.name.removeprefix("round-").isdigit()
        ]
        return [self.round(number) for number in sorted(numbers)]


def open_run(path: str | Path) -> RunFolder:
    """A run folder that exists; of one in an object store the copy here, brought up to date but for its weights.

    Raises RunFolderError for a folder that is none, or of another version.
    """
    run = RunFolder(copies.look(path))
    path = copies.named(run.path)
    if not run.manifest.is_file():
        raise RunFolderError(f"{path} is not a run folder (no manifest.json): give the --out folder of an evolve")
    manifest = files.read_json(run.manifest)
    if manifest.get("schema") != SCHEMA:
        raise RunFolderError(
            f"{path} was made by a version of sena whose folders have schema {manifest.get('schema')}, this one has "
            f"{SCHEMA}: choose another --out, or use the version named in its manifest.json"
        )
    return run


def create_run(path: Path, recipe_text: str, manifest: dict[str, Any]) -> RunFolder:
    """A new run folder, its manifest written last. Raises RunFolderError when `path` holds something else."""
    run = RunFolder(path)
    is_taken = path.is_file() or (path.is_dir() and any(entry.name != ".lock" for entry in path.iterdir()))
    if is_taken and not run.recipe.is_file():
        raise RunFolderError(f"{path} holds other files: choose an empty or new folder for --out")
    files.write_text(run.recipe, recipe_text)
    files.write_json(run.manifest, {"schema": SCHEMA, **manifest})
    return run


@contextlib.contextmanager
def at_work(where: str | Path) -> Iterator[Path]:
    """Hold a run folder, on the disk or in an object store, while working in it. Gives where it lies here.

    Raises RunFolderError when another process or another machine does, SenaError when the store says no.
    """
    path = copies.place(where)
    with locked(path), owner.owned(path):
        yield path


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the run folder while working in it. Raises RunFolderError when another process does."""
    files.demand_disk(path)
    lock = path / ".lock"
    try:
        path.mkdir(parents=True, exist_ok=True)
        handle = open(lock, "a+")  # noqa: SIM115 - held until the end of the block
    except OSError as error:
        raise files.disk_error(path, error) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.seek(0)
            who = handle.read().strip() or "unknown"
            raise RunFolderError(
                f"{copies.named(path)} is in use by process {who}: wait for it, end it, or choose another --out"
            ) from error
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield
