"""What a run brings to the page: its models, and pictures of its own with questions to ask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image as PIL

from sena import copies
from sena.errors import SenaError
from sena.images.pictures import Pictures
from sena.models.load import load_config
from sena.recipes import load as recipes
from sena.recipes import names
from sena.recipes.recipe import Recipe
from sena.records import Image, Pair
from sena.runs import tables
from sena.runs.folder import RoundFolder, RunFolder, open_run

EXAMPLES = 6


@dataclass(frozen=True, slots=True)
class Voice:
    """A model and what the page calls it."""

    label: str
    model: str


@dataclass(frozen=True, slots=True)
class Example:
    """A picture of the run and a question that was asked about it."""

    picture: PIL.Image
    question: str


def voices(model: str) -> list[Voice]:
    """The base and every round's model of a run, or the one model. Raises SenaError when there is no such model."""
    run = _run(model)
    if run is None:
        name = names.model_folder(model)
        load_config(name)
        return [Voice(model, name)]
    recipe, _ = recipes.load(Recipe, run.recipe)
    made = [each for each in run.rounds() if (each.model / "config.json").is_file()]
    base = Voice("base", names.model_folder(recipe.model.name))
    return [base, *(Voice(f"round {each.number}", str(copies.fetch(each.model))) for each in made)]


def examples(model: str) -> list[Example]:
    """A few pictures of a run's last round with pairs, each with one of its prompts. None where they are gone."""
    run = _run(model)
    ready = [each for each in run.rounds() if each.table("pairs").is_file()] if run else []
    if run is None or not ready:
        return []
    recipe, _ = recipes.load(Recipe, run.recipe)
    try:
        sources = {source.name: source for source in names.sources(recipe.images)}
        pictures = Pictures(tables.read(ready[-1].images, Image), sources, recipe.images.limits)
        return [Example(pictures.open(pair.image_id), pair.prompt) for pair in _pick(ready[-1])]
    except SenaError:  # the pictures have moved: the page works without examples
        return []


def _pick(folder: RoundFolder) -> list[Pair]:
    """One pair a picture, descriptions and answers in turn."""
    chosen: dict[str, Pair] = {}
    for pair in tables.read(folder.table("pairs"), Pair):
        wanted = "description" if len(chosen) % 2 else "answer"
        if pair.kind == wanted and pair.image_id not in chosen:
            chosen[pair.image_id] = pair
        if len(chosen) == EXAMPLES:
            break
    return list(chosen.values())


def _run(model: str) -> RunFolder | None:
    path = Path(model).expanduser()
    return open_run(path) if copies.fetch(path / "manifest.json").is_file() else None
