"""A list of pictures: a JSONL or CSV file with a row each, which may bring questions. A folder with such a list in it
(`metadata.jsonl` or `metadata.csv`, the imagefolder of Hugging Face) is the same."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from sena import stores
from sena.errors import SenaError
from sena.images.paths import Growing, Paths
from sena.images.sources import MAX_BYTES, LeftOut, Skipped, is_below, is_text, read_below, real_folder
from sena.images.stored import StoredSource

COLUMNS = ("image", "file_name", "path")
"""Where the picture's path is looked for, in this order."""
METADATA = ("metadata.jsonl", "metadata.csv")


class ListedSource:
    """The pictures that the list names, below one root. Absolute paths are taken if they lead below it."""

    def __init__(
        self, name: str, file: str | Path, root: str | Path = "", column: str = "", max_bytes: int = MAX_BYTES
    ) -> None:
        """`root` is where the paths begin (default: the list's folder), `column` the row's path (default: the first
        of `COLUMNS`). The list is read on first use, and once. Raises SenaError when there is no such file or folder.
        """
        self.name = name
        self.file, beside = _list_of(file)
        self.root = stores.address(root or beside) if stores.is_address(root or beside) else real_folder(root or beside)
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
        """See `sources.read_below`, or `StoredSource.read` where the root is an address."""
        if stores.is_address(self.root):
            return StoredSource(self.name, self.root, self.max_bytes).read(path)
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
            growing, left_out = Growing(), LeftOut(self.name)
            for number, row in rows(self.file):
                given = self._path(number, row)
                path = self._relative(given)
                if path:
                    growing.add(path)
                else:
                    reason = "outside its root" if is_text(given) else "name is not text"
                    left_out.add(ascii(given), reason, f"{Path(self.file).name}, row {number}")
            self._found = growing.paths(), left_out.all()
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
        if stores.is_address(self.root):
            tidied = os.path.normpath(path.removeprefix(f"{self.root}/"))
            return tidied if is_text(path) and stores.is_inside(tidied) else ""
        whole = os.path.normpath(os.path.join(self.root, path))
        return os.path.relpath(whole, self.root) if is_text(path) and is_below(self.root, whole) else ""


def rows(file: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a JSONL or CSV file with their line numbers, one at a time; empty lines are passed over.

    Raises SenaError naming the row that is no object.
    """
    try:
        with io.TextIOWrapper(stores.open_file(file), encoding="utf-8-sig", newline="") as handle:
            if str(file).lower().endswith(".csv"):
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


def asked(file: str | Path, number: int, row: dict[str, Any]) -> list[str]:
    """The row's questions, stripped. Raises SenaError when they are no text."""
    found = row.get("questions", row.get("question"))
    several = found if isinstance(found, list) else [] if found is None else [found]
    if not all(isinstance(each, str) for each in several):
        raise SenaError(f"{file}, row {number}: `question` must be text, and `questions` a list of texts")
    return [each.strip() for each in several if each.strip()]


def _list_of(where: str | Path) -> tuple[str | Path, str]:
    """The list that is named, and the folder in which it lies. Raises SenaError when there is none on the disk."""
    if stores.is_address(where):
        return stores.address(where), stores.address(where).rpartition("/")[0]
    file = Path(where).expanduser()
    if file.is_dir():
        file = metadata_of(file) or file / METADATA[0]
    if not file.is_file():
        raise SenaError(f"There is no file {file}: check the spelling, or name another one")
    return file, str(file.parent)


def metadata_of(folder: Path) -> Path | None:
    """The list that makes a folder an imagefolder."""
    return next((folder / name for name in METADATA if (folder / name).is_file()), None)


def _object(file: str | Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        what = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"
        raise SenaError(f"{file}, row {number}: it is no JSON ({what}): write one object a line") from error
    if not isinstance(row, dict):
        raise SenaError(f'{file}, row {number}: it is no object: write {{"image": "photos/1.jpg"}}, one a line')
    return row
