"""Verbs that only look: recipes, show, report, view, compare, env. `recipes` and `show` load no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

recipes = typer.Typer(help="List, print and copy the recipes.", no_args_is_help=True)
Run = Annotated[Path, typer.Argument(help="A run folder.")]
Port = Annotated[int, typer.Option("--port", help="Where it listens, on this machine only.", min=1, max=65535)]


@recipes.command("ls")
def list_recipes() -> None:
    """The shipped recipes, one a line."""
    from sena.recipes import load

    for name in load.shipped():
        print(f"{name:20} {load.about(name)}")
    print("\nTo read one: sena recipes show demo        To change one: sena recipes cp demo my.yaml")


@recipes.command("show")
def show_recipe(name: Annotated[str, typer.Argument(help="A shipped recipe or a YAML file.")]) -> None:
    """A recipe with everything that it extends, as it would run."""
    from sena.recipes import load
    from sena.recipes.yaml_marks import write

    print(write(load.read(name)[0]), end="")


@recipes.command("cp")
def copy_recipe(
    name: Annotated[str, typer.Argument(help="A shipped recipe or a YAML file.")],
    file: Annotated[Path, typer.Argument(help="The file to make.")],
) -> None:
    """Copy a recipe to a file of your own."""
    from sena import files
    from sena.errors import RecipeError
    from sena.recipes import load

    if file.exists():
        raise RecipeError(f"{file} is there already: choose another name")
    files.write_text(file, load.path_of(name).read_text())
    print(f"Copied. Edit it, then type: sena evolve {file}")


def show(
    run: Run,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    row: Annotated[str | None, typer.Option("--id", metavar="ROW", help="One row's, pair's or image's story.")] = None,
) -> None:
    """What a run did: rows through the stages, and metrics over rounds."""
    from rich.console import Console

    from sena import copies
    from sena.report import show as showing
    from sena.runs.folder import open_run

    folder = open_run(run)
    if as_json:
        print(json.dumps(showing.summary(folder), indent=2))
        return
    console = Console(highlight=False)
    if row is not None:
        console.print(showing.story(folder, row))
        return
    for part in [*showing.tables(folder), *showing.notes(folder)]:
        console.print(part)
        console.print()
    print(f"The report: {folder.report}\nAll rows in a browser: sena view {copies.named(folder.path)}")


def report(run: Run) -> None:
    """Write the run's report.html anew."""
    import sena

    print(f"Open in a browser: {sena.report(run)}")


def view(run: Run, port: Port = 7861) -> None:
    """The report over all rows of a run, also while it goes on, as a page of this machine; rows can be flagged."""
    import sena

    sena.view(run, port)


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Run folders.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The page to write; a bare name lands in this folder.")
    ] = Path("compare.html"),
) -> None:
    """Several runs on one page: what each gained, what it cost, what it dropped, how their recipes differ."""
    import sena

    print(f"Open in a browser: {sena.compare(runs, out).resolve()}")


def env() -> None:
    """What sena runs on: versions, device, threads, memory."""
    import sena

    found = sena.env()
    print(f"sena {found['sena']}, Python {found['python']} on {found['system']}")
    for name, version in found["packages"].items():
        print(f"  {name} {version or 'is not installed'}")
    print(f"GPUs: {', '.join(found['gpus']) or 'none'}; CPU threads: {found['threads']} of {found['cores']}")
