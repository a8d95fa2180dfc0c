"""Where a sweep keeps what was asked, so that a second call goes on, and may try further kinds on the same images.

```
OUT/recipe.yaml  images.parquet  skipped.parquet          what it is about, frozen first
OUT/parts/00000/clean.parquet  drops.parquet  blur-4.parquet ...   a window of images: whole answers, and each cell
OUT/sweep.json  sweep.svg  sweep.png                      the result, of all cells that are there
```
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sena import files
from sena.errors import RunFolderError
from sena.images.sample import draw
from sena.images.sources import Skipped, Source
from sena.recipes import load as recipes
from sena.recipes.recipe import Recipe
from sena.records import Image
from sena.runs import tables

DECIDES = ("run.seed", "run.images_per_round", "model.", "images.", "question.", "check.", "describe.", "answer.")
"""The settings on which the answers of a sweep depend."""


@dataclass(frozen=True, slots=True)
class SweepFolder:
    """Everything in it is written in one step, and is whole when it is there."""

    path: Path

    @property
    def recipe(self) -> Path:
        return self.path / "recipe.yaml"

    @property
    def images(self) -> Path:
        return self.path / "images.parquet"

    @property
    def result(self) -> Path:
        return self.path / "sweep.json"

    def part(self, number: int, name: str) -> Path:
        """`clean`, `drops` or the name of a cell."""
        return self.path / "parts" / f"{number:05d}" / f"{name}.parquet"

    def holds(self, name: str, parts: int) -> bool:
        """Whether a cell was asked in every window."""
        return all(self.part(number, name).is_file() for number in range(parts))


def begin(folder: SweepFolder, recipe: Recipe) -> bool:
    """Write down what the sweep is about, or see that an earlier one was about the same. Whether there was one.

    Raises RunFolderError naming the settings that differ, and for a folder that holds something else.
    """
    if folder.recipe.is_file():
        old, _ = recipes.load(Recipe, folder.recipe)
        keys = [key for key in recipes.differing_keys(old, recipe) if key.startswith(DECIDES)]
        if keys:
            raise RunFolderError(
                f"{folder.path} holds a sweep with other settings (it differs in {', '.join(keys)}): "
                "choose another --out"
            )
        return True
    if any(entry.name != ".lock" for entry in folder.path.iterdir()):
        raise RunFolderError(f"{folder.path} holds other files: choose an empty or new folder for --out")
    files.write_text(folder.recipe, recipes.dump(recipe))
    return False


def sample(folder: SweepFolder, recipe: Recipe, sources: Sequence[Source]) -> list[Image]:
    """The images, drawn as round 1 would draw so many, and frozen. In id order."""
    if not folder.images.is_file():
        drawn = draw(sources, recipe.run.images_per_round, recipe.run.seed, 1, limits=recipe.images.limits)
        tables.write(folder.path / "skipped.parquet", Skipped, drawn.skipped)
        tables.write(folder.images, Image, drawn.images)
    return tables.read(folder.images, Image)
