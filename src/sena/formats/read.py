"""Pairs out of a file that another program, or `sena export`, has written."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sena import ids
from sena.errors import ImageError, SenaError
from sena.formats import IMPORTS, Import, trl
from sena.formats.example import Example, Json
from sena.images.config import LimitsConfig, SourceConfig
from sena.images.decode import decode
from sena.images.parquet import ParquetSource
from sena.images.sources import FolderSource, Source, is_below
from sena.records import Image, Pair

NAME = "pairs"
"""What the source of an imported file's pictures is called."""
OURS = ("pairs.parquet", "pairs.json", "pairs.jsonl")


@dataclass(frozen=True, slots=True)
class Imported:
    """The pairs in the file's order, their pictures in id order, where those are read from, and the layout's name."""

    pairs: tuple[Pair, ...]
    images: tuple[Image, ...]
    source: Source
    layout: str


def read_pairs(file: Path, root: Path | None = None, limits: LimitsConfig = LimitsConfig()) -> Imported:
    """All pairs of `file`; its layout is told by its columns.

    Picture paths are relative to `root` (the file's own folder where it is not given) or absolute, and lie below it,
    links included; a Parquet file holds its pictures itself. Every picture is opened once.
    Raises SenaError naming file, row and mend for the first thing that is wrong.
    """
    file = file_of(file)
    source: Source
    if is_parquet(file):
        source = ParquetSource(NAME, file, limits.max_bytes)
        return _collect(file, trl.examples(source, str(file)), source, limits, trl.TITLE)
    records = _records(file)
    first = next(records, None)
    if first is None:
        raise SenaError(f"{file} holds no pair: name another file")
    layout = _layout_of(*first)
    source = FolderSource(NAME, root or file.parent, limits.max_bytes)
    rows = (_parse(layout, record, where) for record, where in _chain(first, records))
    return _collect(file, (_below(source.root, each) for each in rows), source, limits, layout.TITLE)


def source_config(file: Path, root: Path | None = None) -> SourceConfig:
    """What a recipe says to open the pictures of `file` again."""
    file = file_of(file)
    if is_parquet(file):
        return SourceConfig(name=NAME, kind="parquet", path=str(file))
    return SourceConfig(name=NAME, kind="folder", path=str(root or file.parent))


def file_of(path: Path) -> Path:
    """The file itself, also when the folder of an export is named. Raises SenaError when there is none."""
    path = path.expanduser()
    found = [path / name for name in OURS if (path / name).is_file()] if path.is_dir() else [path]
    if len(found) != 1 or not found[0].is_file():
        raise SenaError(f"There is no file of pairs at {path}: check the spelling, or name the file itself")
    return found[0]


def is_parquet(file: Path) -> bool:
    """By its name."""
    return file.suffix.lower() == ".parquet"


def _collect(file: Path, examples: Iterator[Example], source: Source, limits: LimitsConfig, layout: str) -> Imported:
    images: dict[str, Image] = {}
    by_path: dict[str, str] = {}
    pairs: list[Pair] = []
    seen: Counter[str] = Counter()
    for example in examples:
        if example.image not in by_path:
            image = _image(source, example, limits)
            by_path[example.image] = image.id
            images.setdefault(image.id, image)
        pair = example.pair(by_path[example.image])
        pairs.append(example.pair(pair.image_id, seen[pair.id]))
        seen[pair.id] += 1
    if not pairs:
        raise SenaError(f"{file} holds no pair: name another file")
    return Imported(tuple(pairs), tuple(images[each] for each in sorted(images)), source, layout)


def _image(source: Source, example: Example, limits: LimitsConfig) -> Image:
    try:
        data = source.read(example.image)
        width, height = decode(data, limits).size
    except ImageError as error:
        told = str(error) if example.image in str(error) else f"{example.image}, {error}"
        raise SenaError(
            f"{example.where}: its picture cannot be used ({told}): mend it, leave the row out, or name the folder "
            f"that picture paths start from with --images"
        ) from error
    return Image(ids.of_bytes(data), source.name, example.image, hashlib.sha256(data).hexdigest(), width, height)


def _below(root: str, example: Example) -> Example:
    """An absolute path below the root becomes relative to it; any other stays, and is refused when it is read."""
    if not os.path.isabs(example.image) or "\0" in example.image:
        return example
    real = os.path.realpath(example.image)
    if not is_below(root, real):
        return example
    image = os.path.relpath(real, root)
    return Example(example.where, image, example.kind, example.prompt, example.chosen, example.rejected)


def _layout_of(record: Json, where: str) -> Import:
    """Raises SenaError naming the columns that the nearest layout has and the record lacks."""
    fitting = [each for each in IMPORTS if set(each.COLUMNS) <= record.keys()]
    if fitting:
        return fitting[0]
    raise _missing(
        max(IMPORTS, key=lambda each: len(record.keys() & set(each.COLUMNS)) / len(each.COLUMNS)), record, where
    )


def _parse(layout: Import, record: Json, where: str) -> Example:
    if not set(layout.COLUMNS) <= record.keys():
        raise _missing(layout, record, where)
    return layout.parse(record, where)


def _missing(layout: Import, record: Json, where: str) -> SenaError:
    lacking = " and no ".join(f"`{name}`" for name in layout.COLUMNS if name not in record)
    return SenaError(f"{where} has no {lacking}: a row of {layout.TITLE}'s layout needs {', '.join(layout.COLUMNS)}")


def _chain(first: tuple[Json, str], rest: Iterator[tuple[Json, str]]) -> Iterator[tuple[Json, str]]:
    yield first
    yield from rest


def _records(file: Path) -> Iterator[tuple[Json, str]]:
    """The records of a JSON list, or of a file with one JSON object a line, each with where it stands."""
    try:
        with open(file, encoding="utf-8") as handle:
            is_list = handle.read(4096).lstrip()[:1] == "["
            handle.seek(0)
            found = _listed(file, json.load(handle)) if is_list else _lines(file, handle)
            for record, where in found:
                if not isinstance(record, dict):
                    raise SenaError(f"{where} is no object with columns: write a list of them, or one a line")
                yield record, where
    except json.JSONDecodeError as error:
        raise SenaError(f"{file} is not valid JSON (line {error.lineno}: {error.msg}): mend it there") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise SenaError(f"{file} is not a JSON text: name a file of pairs") from error
    except OSError as error:
        raise SenaError(f"{file} cannot be read ({error.strerror}): check its permissions") from error


def _listed(file: Path, records: list[Json]) -> Iterator[tuple[Json, str]]:
    for number, record in enumerate(records, start=1):
        yield record, f"{file}, record {number}"


def _lines(file: Path, lines: Iterator[str]) -> Iterator[tuple[Json, str]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield json.loads(line), f"{file}, line {number}"
            except json.JSONDecodeError as error:
                raise SenaError(f"{file}, line {number} is not valid JSON ({error.msg}): mend it there") from error
