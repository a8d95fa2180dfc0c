"""A cell of the table: one recipe on one base model with one seed. Its result is kept by what it depends on.

Results of other sources of the package than today's are not mixed in: they count as not yet run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sena
from sena import files
from sena.recipes import load
from sena.recipes.recipe import Recipe

Found = Mapping["Cell", dict[str, Any] | None]
"""Cells with their results; None for one that was not yet run."""


@dataclass(frozen=True, slots=True)
class Cell:
    """`base` is a name for people (`1`, `2`), `model` where that base model lies."""

    recipe: str
    base: str
    model: str
    seed: int
    settings: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What the recipe is called in tables: of a file its name alone."""
        return self.recipe if self.recipe.startswith("quirk:") else Path(self.recipe).stem

    @property
    def name(self) -> str:
        plain = "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in self.label)
        return f"{plain}-base{self.base}-seed{self.seed}"


def key_of(cell: Cell, recipe: Recipe) -> dict[str, str]:
    """What the result depends on: the recipe as it is run, the base's weights, and the package's source."""
    text = load.dump(recipe).replace(cell.model, "BASE")
    return {
        "recipe": hashlib.sha256(text.encode()).hexdigest()[:16],
        "base": files.sha256(Path(cell.model) / "model.safetensors")[:16],
        "source": source_hash(),
    }


def source_hash(root: Path = Path(sena.__file__).parent) -> str:
    """Of every source file and recipe below the package, names included."""
    digest = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.suffix in (".py", ".yaml")):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def path_of(cell: Cell, out: Path) -> Path:
    return out / "cells" / f"{cell.name}.json"


def result(cell: Cell, key: dict[str, str], out: Path) -> dict[str, Any] | None:
    """The cell's result, or None when it was not yet run with this recipe, base and source."""
    path = path_of(cell, out)
    found = files.read_json(path) if path.is_file() else None
    return found if found is not None and found["key"] == key else None


def keep(cell: Cell, key: dict[str, str], out: Path, made: dict[str, Any]) -> None:
    files.write_json(path_of(cell, out), {**asdict(cell), "model": "", **made, "key": key})
