"""Small pictures and sources made in code, for the tests of this room."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sena.errors import ImageError


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The file that Pillow makes of a picture."""
    buffer = BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def plain(number: int, size: tuple[int, int] = (16, 12)) -> bytes:
    """A PNG of one colour, another content for each number below 2**24."""
    colour = (number >> 16 & 255, number >> 8 & 255, number & 255)
    return encoded(Image.new("RGB", size, colour))


def photo(width: int = 64, height: int = 48) -> Image.Image:
    """Noise, so that every format has something to store and a cut shows."""
    values = np.random.RandomState(0).randint(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def write(root: Path, files: dict[str, bytes]) -> Path:
    """Files below `root`, folders made as needed."""
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


class Shelf:
    """A source in memory that remembers what was read."""

    def __init__(self, name: str, files: dict[str, bytes]) -> None:
        self.name = name
        self.files = files
        self.reads: list[str] = []

    def list(self) -> Sequence[str]:
        return list(self.files)

    def read(self, path: str) -> bytes:
        self.reads.append(path)
        if path not in self.files:
            raise ImageError("missing", path)
        return self.files[path]


def shelf(name: str, numbers: range) -> Shelf:
    """A shelf with one plain picture a number."""
    return Shelf(name, {f"{number:06}.png": plain(number) for number in numbers})
