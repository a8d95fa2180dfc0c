"""The verb that tries corruptions: sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sena.cli.run import Images, Json, Model, RecipeName, Set


def sweep(
    recipe: RecipeName = None,
    model: Model = None,
    images: Images = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where all is kept; the same command goes on.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="Images that are tried.", min=2)] = 100,
    kinds: Annotated[str, typer.Option("--kinds", help="Corruptions with commas between; all when left out.")] = "",
    set: Set = None,
    as_json: Json = False,
) -> None:
    """Try kinds and strengths of corruption on your images, and see how much each spoils."""
    import json
    import sys

    from rich.console import Console

    import sena
    from sena.progress import Reporter
    from sena.sweeps import table

    name = recipe or "sena"
    chosen = sena.load_recipe(name, model=model, images=images, limit=limit, settings=set or [])
    folder = out or Path("runs") / f"{Path(name).stem}-sweep"
    wanted = [kind.strip() for kind in kinds.split(",") if kind.strip()]
    found = sena.sweep(chosen, folder, wanted, Reporter(Console(file=sys.stderr, highlight=False)))
    if as_json:
        print(json.dumps(found, indent=2))
        return
    console = Console(highlight=False)
    console.print(table.table(found))
    for line in ["", *table.words(found), f"Picture: {folder / 'sweep.png'}, figures: {folder / 'sweep.json'}"]:
        console.print(line, markup=False, soft_wrap=True)
