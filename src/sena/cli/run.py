"""Verbs that work: evolve, pairs, check, eval."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

RecipeName = Annotated[str | None, typer.Argument(metavar="[RECIPE]", help="A shipped recipe or a YAML file.")]
Model = Annotated[str | None, typer.Option("--model", help="A Hugging Face name, a folder, or `mini`.")]
Images = Annotated[str | None, typer.Option("--images", help="A folder, a list, tars, ... (docs/data.md), or `mini`.")]
Rounds = Annotated[int | None, typer.Option("--rounds", help="How many rounds.", min=1)]
Limit = Annotated[int | None, typer.Option("--limit", help="Images a round.", min=1)]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Override a setting of the recipe.")]
Out = Annotated[Path | None, typer.Option("--out", help="The run folder; the same command goes on with it.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def evolve(
    recipe: RecipeName = None,
    model: Model = None,
    images: Images = None,
    rounds: Rounds = None,
    out: Out = None,
    limit: Limit = None,
    set: Set = None,
) -> None:
    """Run the whole self-evolution loop, or go on where it stopped."""
    import sena

    name, folder = _recipe_and_folder(recipe, out)
    sena.evolve(_load(name, model, images, rounds, limit, set), folder)


def pairs(
    recipe: RecipeName = None,
    model: Model = None,
    images: Images = None,
    out: Out = None,
    limit: Limit = None,
    set: Set = None,
) -> None:
    """Make the preference pairs of one round, without training."""
    import sena

    name, folder = _recipe_and_folder(recipe, out)
    sena.pairs(_load(name, model, images, None, limit, set), folder)


def check(
    recipe: RecipeName = None,
    model: Model = None,
    images: Images = None,
    rounds: Rounds = None,
    limit: Limit = None,
    set: Set = None,
    try_images: Annotated[int, typer.Option("--try", metavar="N", help="Make pairs of N of your images.", min=0)] = 0,
    all_images: Annotated[bool, typer.Option("--all-images", help="Open every image.")] = False,
    tell: Annotated[bool, typer.Option("--recipe", help="Print the whole recipe as it would run, first.")] = False,
) -> int:
    """Say everything that can be known before hours are spent: memory, disk, all faults at once."""
    from sena.checks import check as run_check
    from sena.recipes.load import dump

    resolved = _load(recipe or "sena", model, images, rounds, limit, set)
    if tell:
        print(dump(resolved))
    return run_check(resolved, try_images, all_images)


def _load(
    name: str,
    model: str | None,
    images: str | None,
    rounds: int | None,
    limit: int | None,
    settings: list[str] | None,
) -> Any:
    from sena.recipes.recipe import load_recipe

    return load_recipe(name, model=model, images=images, rounds=rounds, limit=limit, settings=settings or [])


def _recipe_and_folder(recipe: str | None, out: Path | None) -> tuple[str, Path]:
    """An existing run folder brings its own recipe; without --out the folder is named after the recipe."""
    from sena import copies

    if out is not None and not recipe and (kept := copies.fetch(out / "recipe.yaml")).is_file():
        return str(kept), out
    name = recipe or "sena"
    return name, out or Path("runs") / Path(name).stem
