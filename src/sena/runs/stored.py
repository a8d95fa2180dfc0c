"""A table that stays on the disk: records are made as they are asked for, so that a million take no memory."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

from sena.runs import tables

Record = TypeVar("Record")


class Stored(Sequence[Record]):
    """The records of a table in their order. The group that was read last is held, and nothing else."""

    def __init__(self, path: Path, kind: type[Record]) -> None:
        """Raises RunFolderError when the file is no table of that kind."""
        import pyarrow.parquet as pq

        self._kind = kind
        with tables.told(path):
            self._file = pq.ParquetFile(path)
            for name in tables.names(kind):
                self._file.schema_arrow.field(name)
        sizes = [self._file.metadata.row_group(group).num_rows for group in range(self._file.num_row_groups)]
        self._starts = [0, *itertools.accumulate(sizes)]
        self._held: tuple[int, Any] = -1, None

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, key: int) -> Record: ...

    @overload
    def __getitem__(self, key: slice) -> list[Record]: ...

    def __getitem__(self, key: int | slice) -> Record | list[Record]:
        places = range(len(self))[key]
        if isinstance(places, int):
            return self._between(places, places + 1)[0]
        if places.step == 1:
            return self._between(places.start, places.stop)
        return [self[place] for place in places]

    def __iter__(self) -> Iterator[Record]:
        for start, end in itertools.pairwise(self._starts):
            yield from self._between(start, end)

    def by_id(self) -> ById[Record]:
        """The records by their `id`, for a table in the order of its ids."""
        return ById(self)

    def values(self, column: str) -> set[Any]:
        """The different values of a column, which alone is read."""
        import pyarrow.compute as pc

        found: set[Any] = set()
        for group in range(self._file.num_row_groups):
            found.update(pc.unique(self._file.read_row_group(group, columns=[column])[column]).to_pylist())  # type: ignore[attr-defined]
        return found

    def find(self, record_id: str) -> Record | None:
        """The record of that `id`, in a table in the order of its ids."""
        group = bisect_right(self._first_ids, record_id) - 1
        if group < 0:
            return None
        ids = self._group(group)["id"].combine_chunks()
        place = bisect_left(range(len(ids)), record_id, key=lambda place: ids[place].as_py())
        if place == len(ids) or ids[place].as_py() != record_id:
            return None
        return self[self._starts[group] + place]

    @cached_property
    def _first_ids(self) -> list[str]:
        """The least id of each group, which the file keeps beside it."""
        place = self._file.schema_arrow.names.index("id")
        groups = range(self._file.num_row_groups if len(self) else 0)
        return [self._file.metadata.row_group(group).column(place).statistics.min for group in groups]

    def _between(self, start: int, end: int) -> list[Record]:
        made: list[Record] = []
        group = bisect_right(self._starts, start) - 1
        while start < end:
            first, stop = self._starts[group], min(end, self._starts[group + 1])
            made += tables.records(self._group(group).slice(start - first, stop - start), self._kind)
            start, group = stop, group + 1
        return made

    def _group(self, group: int) -> Any:
        if self._held[0] != group:
            self._held = group, self._file.read_row_group(group, columns=tables.names(self._kind))
        return self._held[1]


class ById(Mapping[str, Record], Generic[Record]):
    """A stored table as a mapping from its ids."""

    def __init__(self, stored: Stored[Record]) -> None:
        self._stored = stored

    def __getitem__(self, record_id: str) -> Record:
        found = self._stored.find(record_id)
        if found is None:
            raise KeyError(record_id)
        return found

    def __iter__(self) -> Iterator[str]:
        return (record.id for record in self._stored)  # type: ignore[attr-defined]

    def __len__(self) -> int:
        return len(self._stored)
