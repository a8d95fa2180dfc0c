"""Pairs and pictures for the tests of the file layouts."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image as PIL

from sena import ids
from sena.records import Pair


def picture(red: int, form: str = "PNG") -> bytes:
    buffer = BytesIO()
    PIL.new("RGB", (20, 16), (red, 40, 90)).save(buffer, form)
    return buffer.getvalue()


FILES = {ids.of_bytes(data): data for data in (picture(10), picture(200, "JPEG"), picture(120, "WEBP"))}
FIRST, SECOND, THIRD = FILES

PAIRS = [
    Pair(
        "p1", "r1", FIRST, "description", "Describe it.\nBriefly.", "A red box.", "A blue box.", "A red box.", "blur", 2
    ),
    Pair("p2", "r1", FIRST, "answer", "What colour?", "red", "blue", "red"),
    Pair("p3", "r2", SECOND, "answer", 'Was steht "dort"? 写什么 🙂', "Ein Wort: “ja”", "nothing\nat all", "x"),
    Pair("p4", "r3", THIRD, "answer", "  spaces kept  ", " yes ", "no", "x"),
]


def read_image(image_id: str) -> bytes:
    return FILES[image_id]


def told(pairs: list[Pair] | tuple[Pair, ...]) -> set[tuple[str, ...]]:
    """What a file keeps of its pairs."""
    return {(pair.image_id, pair.kind, pair.prompt, pair.chosen, pair.rejected) for pair in pairs}


def pictures_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "images").iterdir())}
