"""Hashes of what the evidence rests on: the world, the benchmark's code and the base's weights.

They are written into `docs/mini-world.md` before a loop result is looked at; a test compares.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from sena.mini import card, mini_folder, world

WORLD = ("world.py", "shapes.py", "language.py")
BENCH = ("bench.py", "figures.py", "parse.py", "prompts.py")


def files_sha256(names: tuple[str, ...]) -> str:
    """One hash over some files of this package, by name and content, line ends aside."""
    total = hashlib.sha256()
    for name in names:
        text = (Path(__file__).parent / name).read_text(encoding="utf-8")
        total.update(f"{name}\n{text}".encode())
    return total.hexdigest()


def pictures_sha256(count: int = 100) -> str:
    """One hash over the first evaluation pictures: that they are painted alike, whatever the code looks like."""
    total = hashlib.sha256()
    for index in range(count):
        total.update(world.paint(world.make_scene("evaluation", index)).tobytes())
    return total.hexdigest()


def frozen() -> dict[str, str]:
    return {
        "world code": files_sha256(WORLD),
        "benchmark code": files_sha256(BENCH),
        "evaluation pictures": pictures_sha256(),
        "base weights": card.weights_sha256(mini_folder()),
    }
