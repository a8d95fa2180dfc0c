"""TRL: conversational preferences in one Parquet file that holds its pictures.

Source: TRL's docs/source/dataset_formats.md, for vision-language models. The file says by itself which of its columns
are pictures (the `huggingface` entry of its schema), so that `datasets` decodes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sena import files
from sena.errors import SenaError
from sena.formats.example import Example, Json, ReadImage, kind_of, message_of, text_of, without_placeholder
from sena.images.parquet import ParquetSource
from sena.records import Pair

TITLE = "TRL"
COLUMNS = ("prompt", "chosen", "rejected", "images")
KEYS = ("role", "content")
ROWS_PER_GROUP = 64
SAME_PICTURES = 1 << 28
"""Bytes of pictures of a group that are stored once, however many of its rows show them."""


def write(pairs: Sequence[Pair], read_image: ReadImage, folder: Path) -> None:
    """`pairs.parquet`, its rows in the order of their pictures."""
    ordered = sorted(pairs, key=lambda pair: (pair.image_id, pair.id))
    files.write_with(folder / "pairs.parquet", lambda path: _write(path, ordered, read_image))


def examples(source: ParquetSource, where: str) -> Iterator[Example]:
    """Row by row, without the pictures' bytes. Raises SenaError naming a missing column or a faulty row."""
    column = source.column
    missing = [name for name in COLUMNS[:3] if name not in source.columns]
    if missing:
        needed = ", ".join((*COLUMNS[:3], column))
        raise SenaError(f"{where} has no column {' and no '.join(missing)}: {TITLE}'s layout needs {needed}")
    wanted = [*COLUMNS[:3], *(["type"] if "type" in source.columns else [])]
    for number, (row, pictures) in enumerate(zip(source.rows(wanted), source.counts(), strict=True)):
        yield _example(row, pictures, number, f"{where}, row {number + 1}")


def _example(row: Json, pictures: int, number: int, where: str) -> Example:
    if pictures != 1:
        raise SenaError(f"{where}: there are {pictures} pictures, and sena takes one a pair: leave the row out")
    prompt = _prompt(row["prompt"], where)
    (chosen,) = message_of(_flat(row["chosen"], where), ("assistant",), KEYS, where)
    (rejected,) = message_of(_flat(row["rejected"], where), ("assistant",), KEYS, where)
    return Example(where, f"{number}/0", kind_of(row), prompt, chosen, rejected)


def _prompt(turns: Any, where: str) -> str:
    """A content of parts has to name its one picture; TRL itself adds it to a content that is a text."""
    count = sum(part.get("type") == "image" for turn in _turns(turns, where) for part in _parts(turn))
    has_parts = any(isinstance(turn.get("content"), list) for turn in turns)
    if has_parts and count != 1:
        raise SenaError(f"{where}: one picture and {count} image parts in the prompt do not fit: mend the row")
    (prompt,) = message_of(_flat(turns, where), ("user",), KEYS, where)
    return without_placeholder(prompt, where, least=0)


def _flat(turns: Any, where: str) -> list[Json]:
    """Turns whose content is one text."""
    return [{**turn, "content": _words(turn, where)} for turn in _turns(turns, where)]


def _turns(turns: Any, where: str) -> list[Json]:
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise SenaError(f"{where}: the layout is not conversational: write prompt, chosen and rejected as messages")
    return turns


def _words(turn: Json, where: str) -> Any:
    texts = [part for part in _parts(turn) if part.get("type") == "text"]
    if not isinstance(turn.get("content"), list):
        return turn.get("content")
    if len(texts) != 1:
        raise SenaError(f"{where}: a message has {len(texts)} text parts, and sena takes one: join them")
    return text_of(texts[0], "text", where)


def _parts(turn: Json) -> list[Json]:
    content = turn.get("content")
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _write(path: Path, pairs: Sequence[Pair], read_image: ReadImage) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema()
    with pq.ParquetWriter(path, schema, compression="zstd", dictionary_pagesize_limit=SAME_PICTURES) as writer:
        for start in range(0, len(pairs), ROWS_PER_GROUP):
            rows = [_row(pair, read_image(pair.image_id)) for pair in pairs[start : start + ROWS_PER_GROUP]]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def _row(pair: Pair, data: bytes) -> Json:
    words = {"type": "text", "text": pair.prompt}
    return {
        "prompt": [{"role": "user", "content": [{"type": "image", "text": None}, words]}],
        "chosen": [{"role": "assistant", "content": [{"type": "text", "text": pair.chosen}]}],
        "rejected": [{"role": "assistant", "content": [{"type": "text", "text": pair.rejected}]}],
        "images": [{"bytes": data, "path": None}],
        "id": pair.id,
        "type": pair.kind,
    }


def _schema() -> Any:
    import pyarrow as pa

    part = pa.struct([("type", pa.string()), ("text", pa.string())])
    messages = pa.list_(pa.struct([("role", pa.string()), ("content", pa.list_(part))]))
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = dict.fromkeys(COLUMNS[:3], messages)
    schema = pa.schema([*columns.items(), ("images", pa.list_(image)), ("id", pa.string()), ("type", pa.string())])
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": _features()}})})


def _features() -> Json:
    """The same schema in the words of `datasets`."""
    text = {"dtype": "string", "_type": "Value"}
    messages = [{"role": text, "content": [{"type": text, "text": text}]}]
    images = {"feature": {"_type": "Image"}, "_type": "Sequence"}
    return {**dict.fromkeys(COLUMNS[:3], messages), "images": images, "id": text, "type": text}
