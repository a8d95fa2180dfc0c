"""Tables of many shards as one, in the order of their ids, with little of it in memory however many there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sena import files

AT_ONCE = 250_000
"""Rows that are sorted in memory; of more, rows whose ids begin alike are put aside together first."""
LETTERS = 2
"""Letters by which they are put aside: ids are hexadecimal, so there are 256 parts."""


def in_id_order(parts: Iterable[Any], aside: Path) -> Iterator[Any]:
    """The rows of Arrow tables (a column is `id`), in tables of which each goes on where the one before ended.

    Rows of equal ids stay in their order. What does not fit in memory waits in the folder `aside`, which ends empty
    of it. `parts` must hold one table at least.
    """
    sorted_parts, held = Aside(aside), list[Any]()
    try:
        for part in parts:
            held.append(part)
            if sum(map(len, held)) > AT_ONCE:
                sorted_parts.add(_sorted(held))
                held = []
        if sorted_parts.is_empty:
            yield _sorted(held)
        else:
            sorted_parts.add(_sorted(held) if held else None)
            yield from sorted_parts.take()
    finally:
        sorted_parts.close()


@dataclass(slots=True)
class Aside:
    """Sorted tables, cut by the first letters of their ids into files."""

    folder: Path
    _writers: dict[str, Any] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not self._writers

    def add(self, table: Any) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        if table is None:
            return
        begin = pc.utf8_slice_codeunits(table["id"], 0, LETTERS)  # type: ignore[attr-defined]
        start = 0
        for letters, count in ((each["values"], each["counts"]) for each in pc.value_counts(begin).to_pylist()):  # type: ignore[attr-defined]
            if letters not in self._writers:
                self.folder.mkdir(parents=True, exist_ok=True)
                options = pa.ipc.IpcWriteOptions(compression="zstd")
                self._writers[letters] = pa.ipc.new_stream(self._path(letters), table.schema, options=options)
            self._writers[letters].write_table(table.slice(start, count))
            start += count

    def take(self) -> Iterator[Any]:
        """All rows, in the order of the ids."""
        import pyarrow as pa

        for writer in self._writers.values():
            writer.close()
        for letters in sorted(self._writers):
            with pa.OSFile(self._path(letters)) as handle:
                yield _sorted([pa.ipc.open_stream(handle).read_all()])

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        files.remove_tree(self.folder)

    def _path(self, letters: str) -> str:
        return str(self.folder / letters.encode().hex())


def _sorted(parts: list[Any]) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    table = pa.concat_tables(parts)
    return table.take(pc.sort_indices(table["id"]))  # type: ignore[attr-defined]
