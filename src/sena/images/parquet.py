"""A Parquet file that holds its pictures, as `datasets` writes them: a column `images` (lists) or `image`."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from sena import stores
from sena.errors import ImageError, SenaError
from sena.images.paths import Paths
from sena.images.sources import MAX_BYTES

COLUMNS = ("images", "image")
ROWS_AT_ONCE = 256


class ParquetSource:
    """Paths are `ROW/NUMBER`, both counted from 0. One group of rows is held at a time.

    One per worker: it is not made for several threads at once.
    """

    def __init__(self, name: str, path: str | Path, max_bytes: int = MAX_BYTES) -> None:
        """Raises SenaError when the file cannot be read or has no column of pictures."""
        self.name = name
        self.path = path if stores.is_address(path) else Path(path).expanduser()
        self.max_bytes = max_bytes
        self._file = _open(self.path)
        self.columns: tuple[str, ...] = tuple(self._file.schema_arrow.names)
        found = [column for column in COLUMNS if column in self.columns]
        if not found:
            raise SenaError(f"{path} has no column `images` or `image`: name a Parquet file that holds its pictures")
        self.column = found[0]
        self._demand_bytes()
        sizes = [self._file.metadata.row_group(number).num_rows for number in range(self._file.num_row_groups)]
        self._starts = list(itertools.accumulate(sizes, initial=0))
        self._held: tuple[int, Any] | None = None

    def list(self) -> Sequence[str]:
        """All pictures. Raises SenaError when there is none."""
        paths = Paths.of(f"{row}/{number}" for row, count in enumerate(self.counts()) for number in range(count))
        if not paths:
            raise SenaError(f"{self.path} holds no picture: name another file")
        return paths

    def counts(self) -> Iterator[int]:
        """How many pictures each row has, from their paths alone."""
        for row in self.rows([self._leaf("path")]):
            value = row[self.column]
            yield len(value) if isinstance(value, list) else int(value is not None)

    def rows(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The rows with these columns only, a few at a time. Raises SenaError when the file is damaged."""
        import pyarrow as pa

        try:
            for batch in self._file.iter_batches(ROWS_AT_ONCE, columns=list(columns)):
                yield from batch.to_pylist()
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise SenaError(f"{self.path} is damaged ({_first_line(error)}): make or download it again") from error

    def read(self, path: str) -> bytes:
        """The file's bytes. Raises ImageError: `missing`, `unreadable` or `too many bytes`."""
        row, number = _numbers(path)
        if row >= self._starts[-1]:
            raise ImageError("missing", f"{path} of {self.path}")
        group = bisect.bisect_right(self._starts, row) - 1
        value = self._group(group)[row - self._starts[group]].as_py()
        pictures = value if isinstance(value, list) else [value]
        data = (pictures[number] or {}).get("bytes") if number < len(pictures) else None
        if data is None:
            raise ImageError("missing", f"{path} of {self.path} has no bytes: embed the pictures in the file")
        if len(data) > self.max_bytes:
            raise ImageError("too many bytes", f"{path} has {len(data)}, the limit is {self.max_bytes}")
        return data

    def _group(self, number: int) -> Any:
        import pyarrow as pa

        if self._held is None or self._held[0] != number:
            self._held = None  # let go of the old one before the new one comes
            try:
                table = self._file.read_row_group(number, columns=[self.column])
            except (pa.ArrowException, OSError) as error:
                raise ImageError("unreadable", f"{self.path}: {_first_line(error)}") from error
            self._held = (number, table.column(self.column))
        return self._held[1]

    def _demand_bytes(self) -> None:
        """Raises SenaError unless the pictures are kept as `datasets` keeps them, a struct of `bytes` and `path`."""
        for part in ("bytes", "path"):
            if not self._leaf(part):
                raise SenaError(
                    f"{self.path}: `{self.column}` is no column of pictures (a `bytes` and a `path` each): "
                    f"cast it to the Image feature of datasets"
                )

    def _leaf(self, part: str) -> str:
        """The full name of the column's `bytes` or `path`: what lies between differs between writers."""
        names = [self._file.schema.column(number).path for number in range(len(self._file.schema))]
        fitting = [name for name in names if name.startswith(f"{self.column}.") and name.endswith(f".{part}")]
        return fitting[0] if fitting else ""


def parquet_sources(name: str, path: str | Path, max_bytes: int = MAX_BYTES) -> list[ParquetSource]:
    """One source for a file; for a folder one a file, called `name/FILE`. Raises SenaError when there is none."""
    folder = Path(path).expanduser()
    if stores.is_address(path):
        files = stores.files_in(str(path), ".parquet")
    elif folder.is_dir():
        files = sorted(folder.glob("*.parquet"))
    else:
        files = [path]
    if not files:
        raise SenaError(f"There is no .parquet file in {path}: name another folder")
    if len(files) == 1 and PurePosixPath(files[0]).name == PurePosixPath(path).name:
        return [ParquetSource(name, path, max_bytes)]
    return [ParquetSource(f"{name}/{PurePosixPath(file).stem}", file, max_bytes) for file in files]


def _open(path: str | Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(stores.open_file(path) if stores.is_address(path) else path)
    except FileNotFoundError as error:
        raise SenaError(f"There is no file {path}: check the spelling, or name another one") from error
    except (pa.ArrowException, OSError) as error:
        raise SenaError(
            f"{path} cannot be read as Parquet ({_first_line(error)}): make or download it again"
        ) from error


def _numbers(path: str) -> tuple[int, int]:
    row, _, number = path.partition("/")
    if not (row.isdecimal() and number.isdecimal()):
        raise ImageError("missing", f"{path!r} is no ROW/NUMBER")
    return int(row), int(number)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
