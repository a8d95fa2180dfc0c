"""Many paths in little memory: one block of text instead of a Python object each, sorted, every path once."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

AT_ONCE = 1024
"""Paths that are Python objects at one time."""


class Paths(Sequence[str]):
    """A sorted sequence of different paths. It takes their letters and 8 bytes each, and nothing a path more."""

    __slots__ = ("_column",)

    def __init__(self, column: Any) -> None:
        """`column` is an Arrow array of sorted, different texts; `Paths.of` makes it."""
        self._column = column

    @classmethod
    def of(cls, paths: Iterable[str]) -> Paths:
        """From paths in any order, the same one perhaps several times. They must be text (`sources.is_text`)."""
        growing = Growing()
        for path in paths:
            growing.add(path)
        return growing.paths()

    @classmethod
    def joined(cls, parts: Sequence[Paths]) -> Paths:
        """All paths of several sequences that share none."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if len(parts) == 1:
            return parts[0]
        column = pa.concat_arrays([part._column for part in parts])
        return cls(column.take(pc.sort_indices(column)))  # type: ignore[attr-defined]

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, key: int) -> str: ...

    @overload
    def __getitem__(self, key: slice) -> list[str]: ...

    def __getitem__(self, key: int | slice) -> str | list[str]:
        if isinstance(key, slice):
            return [self._column[place].as_py() for place in range(len(self))[key]]
        return self._column[range(len(self))[key]].as_py()

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), AT_ONCE):
            yield from self._column.slice(start, AT_ONCE).to_pylist()

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self.place(path) is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(str.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self)} paths>"

    def place(self, path: str) -> int | None:
        """Where `path` stands, or None."""
        place = bisect.bisect_left(self, path)
        return place if place < len(self) and self[place] == path else None


class Growing:
    """Paths that come one by one."""

    __slots__ = ("_pieces", "_waiting")

    def __init__(self) -> None:
        self._pieces: list[Any] = []
        self._waiting: list[str] = []

    def add(self, path: str) -> None:
        self._waiting.append(path)
        if len(self._waiting) == AT_ONCE:
            self._pack()

    def column(self) -> Any:
        """All of them in the order in which they came, an Arrow column."""
        import pyarrow as pa

        self._pack()
        return pa.chunked_array(self._pieces, pa.large_string())

    def paths(self) -> Paths:
        """All of them, sorted by code point as Python does it, each once. What was gathered is let go."""
        import pyarrow.compute as pc

        column = self.column()
        self._pieces = []
        column = column.combine_chunks().take(pc.sort_indices(column))  # type: ignore[attr-defined]
        last = last_of_equals(column)
        return Paths(column if last is None else column.filter(last))

    def _pack(self) -> None:
        import pyarrow as pa

        self._pieces.append(pa.array(self._waiting, pa.large_string()))
        self._waiting = []


def last_of_equals(column: Any) -> Any:
    """For a sorted column: which texts are the last of those equal to them. None where all differ."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(column) < 2:
        return None
    differs = pc.not_equal(column.slice(1), column.slice(0, len(column) - 1))  # type: ignore[attr-defined]
    if pc.all(differs).as_py():  # type: ignore[attr-defined]
        return None
    pieces = differs.chunks if isinstance(differs, pa.ChunkedArray) else [differs]
    return pa.concat_arrays([*pieces, pa.array([True])])


def in_order(paths: Sequence[str]) -> Sequence[str]:
    """A source's listing, sorted: as it is where it is known to be."""
    return paths if isinstance(paths, Paths) else sorted(paths)
