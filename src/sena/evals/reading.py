"""Reading the files of benchmarks: each fault is one sentence that names file, row and column."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sena.errors import ImageError, SenaError

if TYPE_CHECKING:
    from PIL import Image

MEND = "`sena bench ls` says what each benchmark needs and where it comes from"


def present(path: Path) -> Path:
    """`path`, which has to be a file. Raises SenaError."""
    if not path.is_file():
        raise SenaError(f"{path} is missing: {MEND}")
    return path


def one_of(folder: Path, pattern: str) -> Path:
    """The only file in `folder` that fits `pattern`. Raises SenaError when there is none, or several to choose from."""
    found = sorted(folder.glob(pattern))
    if not found:
        raise SenaError(f"{folder} holds no {pattern}: {MEND}")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise SenaError(f"{folder} holds several files {pattern} ({names}): leave the one there that is meant")
    return found[0]


def read_json(path: Path) -> Any:
    """Raises SenaError for a file that is missing or no JSON."""
    try:
        return json.loads(present(path).read_bytes())
    except ValueError as error:
        raise SenaError(f"{path} is not valid JSON ({error}): fetch it again") from error


def read_lines(path: Path) -> list[dict[str, Any]]:
    """One JSON object a line; empty lines are passed over. Raises SenaError naming the line."""
    rows = []
    for number, line in enumerate(present(path).read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise SenaError(f"{path}, line {number}, is not valid JSON: fetch the file again") from error
    return rows


def read_table(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a tab-separated file with a header, one at a time, since some hold pictures."""
    csv.field_size_limit(1 << 28)
    try:
        with open(present(path), encoding="utf-8", newline="") as handle:
            for row in csv.DictReader(handle, delimiter="\t"):
                yield {name: value or "" for name, value in row.items() if name is not None}
    except (csv.Error, UnicodeDecodeError) as error:
        raise SenaError(f"{path} is not a tab-separated table ({error}): fetch it again") from error


def checked(rows: Iterable[Any], columns: Sequence[str], path: Path) -> list[dict[str, Any]]:
    """`rows` as they are, each an object that has all `columns`. Raises SenaError naming the row, or an empty file."""
    found = []
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise SenaError(f"{path}, row {number}, is no object with fields: is this the right file?")
        lacks = [column for column in columns if column not in row]
        if lacks:
            raise SenaError(f"{path}, row {number}, lacks {', '.join(lacks)}: is this the right file?")
        found.append(row)
    if not found:
        raise SenaError(f"{path} holds no row: fetch it again")
    return found


def inside(name: str) -> str:
    """A picture's path as a data file gives it. Raises SenaError when it would lead out of its folder."""
    path = PurePosixPath(str(name))
    if path.is_absolute() or ".." in path.parts or "\\" in str(name):
        raise SenaError(f"A benchmark's file names the picture {name}, which lies outside its folder: refused")
    return str(path)


def opener(root: Path) -> Callable[[str], Image.Image]:
    """From a path below `root` to its picture."""

    def open_image(name: str) -> Image.Image:
        return decoded(present(root / name).read_bytes(), str(root / name))

    return open_image


def decoded(data: bytes, where: str) -> Image.Image:
    """The picture in `data`. Raises SenaError naming `where`."""
    from sena.images.config import LimitsConfig
    from sena.images.decode import decode

    try:
        return decode(data, LimitsConfig())
    except ImageError as error:
        raise SenaError(f"{where} cannot be used as a picture ({error}): fetch it again") from error


def demand(root: Path) -> Callable[[Iterable[str]], None]:
    """A check that pictures are there before hours are spent."""

    def check(names: Iterable[str]) -> None:
        missing = [name for name in dict.fromkeys(names) if not (root / name).is_file()]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise SenaError(f"The picture {root / missing[0]}{more} is missing: {MEND}")

    return check
