"""The report of a run that is there already, or still at work."""

from __future__ import annotations

from collections import ChainMap
from pathlib import Path

from PIL import Image as PIL

from sena.errors import ImageError, ModelError, SenaError
from sena.images.pictures import Pictures, demand_sources
from sena.models import families
from sena.models.load import load_config
from sena.recipes import load as recipes
from sena.recipes import names
from sena.recipes.recipe import Recipe
from sena.records import Image
from sena.report.write import Look, write_report
from sena.runs.folder import RunFolder, open_run
from sena.runs.stored import Stored


def report(run: str | Path) -> Path:
    """Write `report.html` of a run folder anew. Pictures that are gone are shown as such, with the reason."""
    folder = open_run(Path(run))
    recipe, _ = recipes.load(Recipe, folder.recipe)
    return tell(folder, recipe)


def tell(run: RunFolder, recipe: Recipe) -> Path:
    """The report of a run whose recipe is at hand."""
    drawn = [Stored(each.images, Image) for each in run.rounds() if each.images.is_file()]
    try:
        sources = {source.name: source for source in names.sources(recipe.images)}
        demand_sources({name for each in drawn for name in each.values("source")}, sources)
    except SenaError as error:
        reason = str(error)

        def gone(image_id: str) -> PIL.Image:
            raise ImageError("source is gone", reason)

        return write_report(run, gone, None)
    known = ChainMap(*(each.by_id() for each in drawn))  # type: ignore[arg-type]
    pictures = Pictures(known, sources, recipe.images.limits)
    return write_report(run, pictures.open, look(recipe))


def look(recipe: Recipe) -> Look | None:
    """How the model's processor sees pictures, so that corrupted ones are shown as it saw them; None when unknown.

    It is not known of a family that keeps proportions: its two edges are bounds, for some in pixels of area.
    """
    from transformers import AutoImageProcessor

    model = names.model_folder(recipe.model.name)
    try:
        pads = families.pads_to_square(families.kind(load_config(model)))
        processor = AutoImageProcessor.from_pretrained(model, trust_remote_code=False)
    except (ModelError, OSError, ValueError, ImportError):
        return None
    size = processor.crop_size or processor.size
    side = size.get("height") or (None if size.get("longest_edge") else size.get("shortest_edge"))
    return Look(tuple(processor.image_mean), tuple(processor.image_std), side, pads) if side else None
