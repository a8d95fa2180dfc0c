"""A file of questions, answered: in batches, and going on where it stopped."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from sena import files, ids
from sena.engines.local import LocalEngine
from sena.errors import ImageError, SenaError
from sena.images.config import LimitsConfig
from sena.images.decode import decode
from sena.images.sources import is_text, read_below, real_folder
from sena.mini.stranger import hint
from sena.models import load as loading
from sena.progress import Reporter
from sena.recipes import names
from sena.records import Request

CHUNK = 64
"""Questions answered, and written down, together."""
MAX_NEW_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a picture, named by its path below the root."""

    id: str | int
    image: str
    question: str


@dataclass(slots=True)
class Answered:
    """What came of a file of questions. `bad` counts rows that could not be asked, by reason, `first` shows one; `hint`
    is there when the miniature was asked about pictures that it cannot know."""

    out: Path
    answers: int
    found: int
    bad: Counter[str] = field(default_factory=Counter)
    first: str = ""
    hint: str = ""

    def skip(self, where: str, reason: str, detail: str = "") -> None:
        self.bad[reason] += 1
        self.first = self.first or f"{where}: {detail or reason}"


def answer(
    model: str | Path,
    images: str | Path,
    questions: str | Path,
    out: str | Path,
    reporter: Reporter | None = None,
) -> Answered:
    """Answer every question of a JSONL file into another one, or go on with it; nothing is asked twice.

    A row of `questions` is {"image": path below `images`, "question": text, "id": text or number, may be missing};
    `out` gets id, image, question, answer and model, in the same order. `images` may be one picture instead: rows
    without image are about it. A row that cannot be asked is left out and counted. Answers are greedy.
    Raises SenaError when `out` was begun with another model or other questions, and when no row can be asked.
    """
    name, out, file = names.model_or_run(str(model)), Path(out).expanduser(), Path(questions).expanduser()
    root, only = _root(Path(images).expanduser())
    result = Answered(out, 0, 0)
    rows = _read(file, only, result)
    done = _done(out, name, {row.id: row for row in rows}, file)
    result.found = len(done)
    todo = [row for row in rows if row.id not in done]
    if todo:
        reporter = reporter or Reporter()
        engine = LocalEngine(loading.load(name))
        with reporter.stage("answer", len(rows), len(done)) as task:
            for start in range(0, len(todo), CHUNK):
                part = todo[start : start + CHUNK]
                done |= _ask(engine, part, root, result)
                _write(out, [done[row.id] | {"model": name} for row in rows if row.id in done])
                task.advance(len(part))
    result.answers = len(done)
    if not done:
        raise SenaError(f"No row of {file} could be asked ({result.first}): mend the file, or name other --images")
    return result


def _root(images: Path) -> tuple[str, str]:
    """The folder that picture paths start from, and the one picture's name if a file is given."""
    if images.is_file():
        return real_folder(images.parent), images.name
    return real_folder(images), ""


def _read(file: Path, only: str, result: Answered) -> list[Asked]:
    """The rows that have all they need. Their ids are the file's own, else made of picture and question."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SenaError(f"{file} cannot be read as a file of questions ({error}): name a JSONL file") from error
    rows: dict[str | int, Asked] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = _parse(line, only)
        if isinstance(row, str):
            result.skip(f"{file}, line {number}", row)
        elif row.id in rows:
            result.skip(f"{file}, line {number}", "id used before")
        else:
            rows[row.id] = row
    if not rows and not result.bad:
        raise SenaError(f"{file} holds no question: write one JSON object with image and question a line")
    return list(rows.values())


def _parse(line: str, only: str) -> Asked | str:
    """The row, or why it is none."""
    try:
        record = json.loads(line)
    except ValueError:
        return "not JSON"
    if not isinstance(record, dict):
        return "not an object"
    question, image = record.get("question"), record.get("image") or only
    if not isinstance(question, str) or not question.strip() or not is_text(question):
        return "no question"
    if not isinstance(image, str) or not image or not is_text(image):
        return "no image"
    name = record.get("id")
    if name is None:
        name = ids.of_bytes(json.dumps([image, question]).encode())
    return Asked(name, image, question) if isinstance(name, str | int) else "id is no text or number"


def _ask(engine: LocalEngine, rows: Sequence[Asked], root: str, result: Answered) -> dict[str | int, dict[str, Any]]:
    """The answers of one chunk by row id, rows whose picture cannot be used left out and counted."""
    pictures: dict[str, Image.Image] = {}
    faults: dict[str, ImageError] = {}
    limits = LimitsConfig()
    for path in dict.fromkeys(row.image for row in rows):
        try:
            pictures[path] = decode(read_below(root, path, limits.max_bytes), limits)
        except ImageError as error:
            faults[path] = error
    for row in rows:
        if row.image in faults:
            fault = faults[row.image]
            result.skip(f"row {row.id}", fault.reason, f"{row.image} ({fault})")
    result.hint = result.hint or hint(engine.vlm.name, pictures.items())
    good = [row for row in rows if row.image in pictures]
    requests = [Request(str(row.id), row.question, row.image, MAX_NEW_TOKENS) for row in good]
    replies = engine.generate(requests, pictures.__getitem__)
    return {row.id: asdict(row) | {"answer": reply.text} for row, reply in zip(good, replies, strict=True)}


def _done(out: Path, model: str, rows: dict[str | int, Asked], file: Path) -> dict[str | int, dict[str, Any]]:
    """What `out` holds already, by id. Raises SenaError when it was begun otherwise."""
    if not out.exists():
        return {}
    done = {}
    for number, line in enumerate(out.read_text(encoding="utf-8").rstrip("\n").split("\n"), start=1):
        try:
            record = json.loads(line)
            row, by = Asked(record["id"], record["image"], record["question"]), record["model"]
            record["answer"]
        except (ValueError, KeyError, TypeError) as error:
            raise SenaError(f"{out}, line {number} is no answer of sena: choose another --out") from error
        if os.path.realpath(str(by)) != os.path.realpath(model):  # a folder may be spelled in several ways
            raise SenaError(f"{out} holds answers of {by}: choose another --out for those of {model}")
        if rows.get(row.id) != row:
            raise SenaError(f"{out}, line {number} answers a question that is not in {file}: choose another --out")
        done[row.id] = record
    return done


def _write(out: Path, records: Sequence[dict[str, Any]]) -> None:
    files.write_text(out, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
