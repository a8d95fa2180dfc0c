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
        """All of them, sorted by code point as Python does it, each once."""
        import pyarrow.compute as pc

        column = self.column().unique()
        return Paths(column.take(pc.sort_indices(column)))  # type: ignore[attr-defined]

    def _pack(self) -> None:
        import pyarrow as pa

        self._pieces.append(pa.array(self._waiting, pa.large_string()))
        self._waiting = []


def in_order(paths: Sequence[str]) -> Sequence[str]:
    """A source's listing, sorted: as it is where it is known to be."""
    return paths if isinstance(paths, Paths) else sorted(paths)
