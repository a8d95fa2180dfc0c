"""Tables are lists of flat frozen records, kept as Parquet with the schema that the record's types say."""

from __future__ import annotations

import types
import typing
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from sena.errors import RunFolderError
from sena.files import write_with

Record = TypeVar("Record")


def write(path: Path, kind: type[Record], records: Sequence[Record]) -> None:
    """Atomically write `records`, all of type `kind`, with equal bytes for equal records."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([asdict(record) for record in records], schema=schema(kind))  # type: ignore[call-overload]
    write_with(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def read(path: Path, kind: type[Record], where: Sequence[tuple[str, str, Any]] = ()) -> list[Record]:
    """The records of a table, or those for which all of `where` holds: (column, "==" or "in" or another, value).

    Raises RunFolderError when the file is no table of that kind.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    try:
        rows = pq.read_table(path, columns=names, filters=list(where) or None).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowKeyError, KeyError) as error:
        raise RunFolderError(
            f"{path} is not a table of this version: move it away and run again to remake it"
        ) from error
    lists = {name for name, hint in typing.get_type_hints(kind).items() if typing.get_origin(hint) is tuple}
    return [kind(**{name: tuple(row[name]) if name in lists else row[name] for name in names}) for row in rows]


def schema(kind: type) -> Any:
    """The Arrow schema of a record type."""
    import pyarrow as pa

    hints = typing.get_type_hints(kind)
    return pa.schema([_field(name, hints[name]) for name in (field.name for field in fields(kind))])


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
