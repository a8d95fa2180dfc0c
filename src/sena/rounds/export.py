"""A run's pairs for other trainers: what `sena export` does."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sena import copies
from sena.errors import ImageError, RunFolderError
from sena.formats.write import Exported, write_pairs
from sena.recipes import load as recipes
from sena.recipes import names
from sena.recipes.recipe import Recipe
from sena.records import Image, Pair
from sena.runs import tables
from sena.runs.folder import RoundFolder, RunFolder, open_run


def export(run: str | Path, to: str, out: str | Path, round: int | None = None) -> Exported:
    """Write the pairs of one round (the last that has them, where none is named) in the layout `to` into `out`.

    `to` is `trl`, `llama-factory`, `ms-swift` or `llava`. Pictures are copied byte for byte from where they were drawn.
    Raises SenaError for a round without pairs, an unknown layout, a picture that is gone, and a folder in use.
    """
    folder = open_run(Path(run))
    ready = _ready(folder)
    chosen = ready[_number(folder, ready, round)]
    recipe, _ = recipes.load(Recipe, folder.recipe)
    images = {image.id: image for image in tables.read(chosen.images, Image)}
    sources = {source.name: source for source in names.sources(recipe.images)}

    def read_image(image_id: str) -> bytes:
        image = images[image_id]
        if image.source not in sources:
            raise ImageError("missing", f"the recipe has no source {image.source} any more")
        data = sources[image.source].read(image.path)
        if hashlib.sha256(data).hexdigest() != image.sha256:
            raise ImageError("changed since it was drawn", f"{image.source}: {image.path}")
        return data

    made = write_pairs(to, tables.read(chosen.table("pairs"), Pair), read_image, Path(out).expanduser())
    return replace(made, round=chosen.number, others=tuple(each for each in ready if each != chosen.number))


def _ready(run: RunFolder) -> dict[int, RoundFolder]:
    """The rounds whose pairs are complete."""
    ready = {each.number: each for each in run.rounds() if each.table("pairs").is_file() and each.funnel.is_file()}
    if not ready:
        where = copies.named(run.path)
        raise RunFolderError(
            f"{where} has no round whose pairs are complete: go on with it (sena evolve --out {where})"
        )
    return ready


def _number(run: RunFolder, ready: Mapping[int, RoundFolder], number: int | None) -> int:
    if number is None:
        return max(ready)
    if number not in ready:
        known = ", ".join(str(each) for each in ready)
        raise RunFolderError(f"{copies.named(run.path)} has no complete pairs of round {number}: give --round {known}")
    return number
