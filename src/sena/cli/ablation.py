"""The verb that compares recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sena.cli.run import Json, Set


def ablate(
    recipes: Annotated[list[str], typer.Argument(metavar="RECIPE...", help="Recipes, or `quirks` for each alone.")],
    seeds: Annotated[int, typer.Option("--seeds", help="Run seeds, from 0 on.", min=1)] = 2,
    bases: Annotated[Path, typer.Option("--bases", help="Folder of base models, as `make bases` fills it.")] = Path(
        "bases"
    ),
    out: Annotated[Path, typer.Option("--out", help="Where cells are kept; the same command goes on.")] = Path(
        "runs/ablate"
    ),
    jobs: Annotated[int, typer.Option("--jobs", help="Cells at a time; 0 for one a core.", min=0)] = 0,
    set: Set = None,
    as_json: Json = False,
) -> None:
    """Run recipes side by side in the miniature world, over base models and seeds, and compare them."""
    import json
    import sys

    from rich.console import Console

    from sena.ablate import ablate as run_all
    from sena.ablate.picture import draw
    from sena.ablate.table import markdown, table
    from sena.files import write_text
    from sena.progress import Reporter

    reporter = Reporter(Console(file=sys.stderr, highlight=False))
    made = run_all(recipes, out, range(seeds), bases, set or [], jobs, reporter)
    draw(made, out / "ablate.png")
    write_text(out / "table.md", f"{markdown(made)}\nAgainst `sena`:\n\n{markdown(made, 'to_sena')}")
    if as_json:
        print(json.dumps(made, indent=2))
        return
    Console().print(table(made))
    print(f"Intervals: {out / 'table.md'}. All figures: {out / 'evidence.json'}. Picture: {out / 'ablate.png'}.")
