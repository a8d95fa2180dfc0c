"""What the layouts with picture files share: a folder `images` beside the records, each picture in it once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sena import files, ids
from sena.formats.example import Json, ReadImage
from sena.records import Pair

Fill = Callable[[Sequence[Pair], ReadImage, Path], None]
"""Writes pairs into a folder that is there and empty."""

_ENDS = ((b"\xff\xd8\xff", ".jpg"), (b"\x89PNG", ".png"), (b"GIF8", ".gif"), (b"RIFF", ".webp"))


def write_images(pairs: Iterable[Pair], read_image: ReadImage, folder: Path) -> dict[str, str]:
    """The files of all pictures, byte for byte. Returns their paths relative to `folder` by image id.

    A file is named by its content, never by what a pair says of it.
    """
    paths: dict[str, str] = {}
    for pair in pairs:
        if pair.image_id not in paths:
            data = read_image(pair.image_id)
            paths[pair.image_id] = f"images/{ids.of_bytes(data)}{_end(data)}"
            files.write_bytes(folder / paths[pair.image_id], data)
    return paths


def write_records(path: Path, records: Sequence[Json]) -> None:
    """One JSON list."""
    files.write_text(path, json.dumps(records, indent=1, ensure_ascii=False) + "\n")


def write_lines(path: Path, records: Sequence[Json]) -> None:
    """One JSON object a line."""
    files.write_text(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def _end(data: bytes) -> str:
    return next((end for magic, end in _ENDS if data.startswith(magic)), ".img")
