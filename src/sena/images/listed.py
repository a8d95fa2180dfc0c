"""A list of pictures: a JSONL or CSV file with a row each, which may bring questions. A folder with such a list in it
(`metadata.jsonl` or `metadata.csv`, the imagefolder of Hugging Face) is the same."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from sena.errors import SenaError
from sena.images.paths import Growing, Paths
from sena.images.sources import MAX_BYTES, Skipped, is_below, is_text, read_below, real_folder

COLUMNS = ("image", "file_name", "path")
"""Where the picture's path is looked for, in this order."""
METADATA = ("metadata.jsonl", "metadata.csv")
SHOWN = 20
"""Refused paths that are told one by one."""


class ListedSource:
    """The pictures that the list names, below one root. Absolute paths are taken if they lead below it."""

    def __init__(
        self, name: str, file: str | Path, root: str | Path = "", column: str = "", max_bytes: int = MAX_BYTES
    ) -> None:
        """`root` is where the paths begin (default: the list's folder), `column` the row's path (default: the first
        of `COLUMNS`). The list is read on first use, and once. Raises SenaError when there is no such file or folder.
        """
        self.name = name
        self.file = Path(file).expanduser()
        if self.file.is_dir():
            self.file = metadata_of(self.file) or self.file / METADATA[0]
        if not self.file.is_file():
            raise SenaError(f"There is no file {self.file}: check the spelling, or name another one")
        self.root = real_folder(root or self.file.parent)
        self.column = column
        self.max_bytes = max_bytes
        self._found: tuple[Paths, Sequence[Skipped]] | None = None

    def list(self) -> Sequence[str]:
        """Sorted relative paths, each once. Raises SenaError naming the row that is wrong, or when there is none."""
        paths, unlisted = self._scan()
        if not paths:
            also = f" ({unlisted[0].path}: {unlisted[0].reason})" if unlisted else ""
            raise SenaError(f'{self.file} names no picture{also}: a row looks like {{"image": "photos/1.jpg"}}')
        return paths

    def unlisted(self) -> Sequence[Skipped]:
        """Rows whose path leads out of the root or is no text."""
        return self._scan()[1]

    def read(self, path: str) -> bytes:
        """See `sources.read_below`."""
        return read_below(self.root, path, self.max_bytes)

    def questions(self, paths: Collection[str]) -> Iterator[tuple[str, str]]:
        """Path and question for every row about one of `paths` that has a `question` (text) or `questions` (list)."""
        for number, row in rows(self.file):
            path = self._relative(self._path(number, row))
            if path in paths:
                for question in asked(self.file, number, row):
                    yield path, question

    def _scan(self) -> tuple[Paths, Sequence[Skipped]]:
        if self._found is None:
            growing, refused = Growing(), []
            for number, row in rows(self.file):
                given = self._path(number, row)
                path = self._relative(given)
                if path:
                    growing.add(path)
                elif len(refused) < SHOWN:
                    reason = "outside its root" if is_text(given) else "name is not text"
                    refused.append(Skipped(self.name, ascii(given), reason, f"{self.file.name}, row {number}"))
            self._found = growing.paths(), refused
        return self._found

    def _path(self, number: int, row: dict[str, Any]) -> str:
        columns = (self.column,) if self.column else COLUMNS
        value = next((row[column] for column in columns if column in row), None)
        if not isinstance(value, str) or not value:
            wanted = f"`{self.column}`" if self.column else "`image` (or `file_name`)"
            raise SenaError(f"{self.file}, row {number}: it needs {wanted}, the path of one picture")
        return value

    def _relative(self, path: str) -> str:
        """The path below the root, tidied; nothing when it leads elsewhere."""
        whole = os.path.normpath(os.path.join(self.root, path))
        return os.path.relpath(whole, self.root) if is_text(path) and is_below(self.root, whole) else ""


def rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a JSONL or CSV file with their line numbers, one at a time; empty lines are passed over.

    Raises SenaError naming the row that is no object.
    """
    try:
        with open(file, encoding="utf-8-sig", newline="") as handle:
            if file.suffix.lower() == ".csv":
                yield from enumerate(csv.DictReader(handle), start=2)
                return
            for number, line in enumerate(handle, start=1):
                if line.strip():
                    yield number, _object(file, number, line)
    except UnicodeDecodeError as error:
        raise SenaError(f"{file} is no UTF-8 text: name a JSONL or CSV file") from error
    except csv.Error as error:
        raise SenaError(f"{file} is no CSV file ({error}): name a JSONL or CSV file") from error
    except OSError as error:
        raise SenaError(f"{file} cannot be read ({error.strerror}): check the path") from error


def asked(file: Path, number: int, row: dict[str, Any]) -> list[str]:
    """The row's questions, stripped. Raises SenaError when they are no text."""
    found = row.get("questions", row.get("question"))
    several = found if isinstance(found, list) else [] if found is None else [found]
    if not all(isinstance(each, str) for each in several):
        raise SenaError(f"{file}, row {number}: `question` must be text, and `questions` a list of texts")
    return [each.strip() for each in several if each.strip()]


def metadata_of(folder: Path) -> Path | None:
    """The list that makes a folder an imagefolder."""
    return next((folder / name for name in METADATA if (folder / name).is_file()), None)


def _object(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        what = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"
        raise SenaError(f"{file}, row {number}: it is no JSON ({what}): write one object a line") from error
    if not isinstance(row, dict):
        raise SenaError(f'{file}, row {number}: it is no object: write {{"image": "photos/1.jpg"}}, one a line')
    return row
