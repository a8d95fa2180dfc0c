"""The verb that says which models sena works with."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer


def models(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Which families of models are supported, how each is trained, what it needs and how that is tested."""
    from rich.console import Console

    from sena.models.families import FAMILIES

    if as_json:
        print(json.dumps([asdict(family) for family in FAMILIES], indent=2))
        return
    console = Console(highlight=False)
    console.print(_table())
    for line in _reasons():
        console.print(line)
    print(
        "\ntrains: in a tree, what an image's answers share goes through the model once;\n"
        "in plain rows, every answer goes by itself. reads: one reading of a picture is\n"
        "shared by all prompts on it, or each prompt reads it anew (plain).\n"
        "Whether a loaded model keeps to this is tried at the start of a run, and told.\n"
        "tested: a tiny model with random weights went through the whole loop.\n"
        "No family was measured here with trained weights. Any other vision-language\n"
        "model is tried by general means."
    )


def _table() -> object:
    from rich import box
    from rich.table import Table

    from sena.models.families import FAMILIES

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("family", "trains", "reads", "needs", "tested"):
        table.add_column(name)
    for family in FAMILIES:
        needs, tested = ", ".join(family.needs) or "-", family.tested or "-"
        table.add_row(family.name, family.trains, family.reads, needs, tested)
    return table


def _reasons() -> list[str]:
    """Why each family trains as it does, a reason once."""
    from sena.models.families import FAMILIES

    names: dict[tuple[str, str], list[str]] = {}
    for family in FAMILIES:
        names.setdefault((family.trains, family.why), []).append(family.name)
    return [f"{trains}, since {why}: {', '.join(those)}." for (trains, why), those in names.items()]
