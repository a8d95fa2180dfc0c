"""Tables are lists of flat frozen records, kept as Parquet with the schema that the record's types say."""

from __future__ import annotations

import contextlib
import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from sena.errors import RunFolderError
from sena.files import write_with

Record = TypeVar("Record")
GROUP = 65_536
"""Rows that lie together in a file: the least that is read at once."""


def write(path: Path, kind: type[Record], records: Sequence[Record]) -> None:
    """Atomically write `records`, all of type `kind`, with equal bytes for equal records."""
    write_arrow(path, kind, [arrow(kind, records)])


def write_arrow(path: Path, kind: type, parts: Iterable[Any]) -> None:
    """The same from Arrow tables, one behind the other. How they are cut changes no byte, and few are held at once."""
    import pyarrow.parquet as pq

    def fill(temporary: Path) -> None:
        with pq.ParquetWriter(temporary, schema(kind), compression="zstd") as writer:
            for group in _groups(parts, schema(kind)):
                writer.write_table(group, row_group_size=GROUP)

    write_with(path, fill)


def _groups(parts: Iterable[Any], of: Any) -> Iterator[Any]:
    """`parts` cut anew, each but the last into whole groups; a table of no rows for none."""
    import pyarrow as pa

    waiting = of.empty_table()
    for part in parts:
        waiting = pa.concat_tables([waiting, part])
        whole = (len(waiting) - 1) // GROUP * GROUP
        if whole > 0:
            yield waiting.slice(0, whole).combine_chunks()
            waiting = waiting.slice(whole)
    yield waiting.combine_chunks()


def arrow(kind: type[Record], records: Sequence[Record]) -> Any:
    """Records as an Arrow table."""
    import pyarrow as pa

    columns = [pa.array([getattr(record, field.name) for record in records], field.type) for field in schema(kind)]
    return pa.Table.from_arrays(columns, schema=schema(kind))


def read(path: Path, kind: type[Record], where: Sequence[tuple[str, str, Any]] = ()) -> list[Record]:
    """The records of a table, or those for which all of `where` holds: (column, "==" or "in" or another, value).

    Raises RunFolderError when the file is no table of that kind.
    """
    return records(read_arrow(path, kind, where), kind)


def read_arrow(path: Path, kind: type, where: Sequence[tuple[str, str, Any]] = ()) -> Any:
    """The same as an Arrow table, which takes a tenth of the memory."""
    import pyarrow.parquet as pq

    with told(path):
        return pq.read_table(path, columns=names(kind), filters=list(where) or None)


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """What Arrow says of a file that is no table of the kind that was asked for, as a sentence."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowKeyError, KeyError) as error:
        raise RunFolderError(
            f"{path} is not a table of this version: move it away and run again to remake it"
        ) from error


def records(table: Any, kind: type[Record]) -> list[Record]:
    """The rows of an Arrow table as records."""
    lists = {name for name, hint in typing.get_type_hints(kind).items() if typing.get_origin(hint) is tuple}
    columns = {name: table[name].to_pylist() for name in names(kind)}
    tuples = [map(tuple, column) if name in lists else column for name, column in columns.items()]
    return list(map(kind, *tuples))  # column by column: a table may have a million rows


def names(kind: type) -> list[str]:
    """The columns of a record type."""
    return [field.name for field in fields(kind)]


def schema(kind: type) -> Any:
    """The Arrow schema of a record type."""
    import pyarrow as pa

    hints = typing.get_type_hints(kind)
    return pa.schema([_field(name, hints[name]) for name in names(kind)])


def _field(name: str, hint: Any) -> Any:
    import pyarrow as pa

    plain = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        inner = [each for each in typing.get_args(hint) if each is not type(None)]
        return _field(name, inner[0]).with_nullable(True)
    if typing.get_origin(hint) is tuple:
        return pa.field(name, pa.list_(_field("item", typing.get_args(hint)[0]).type), nullable=False)
    if typing.get_origin(hint) is typing.Literal:
        return pa.field(name, pa.string(), nullable=False)
    return pa.field(name, plain[hint], nullable=False)
