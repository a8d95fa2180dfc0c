"""Verbs for what leaves a run or comes from elsewhere: export, train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sena.cli.run import Model, Set

TO = "Pairs: trl, llama-factory, ms-swift or llava. The model: merged or adapter."
MODEL = ("merged", "adapter")


def export(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    to: Annotated[str, typer.Option("--to", metavar="LAYOUT", help=TO)],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder.")],
    round: Annotated[int | None, typer.Option("--round", help="Which round; the last one if not given.", min=1)] = None,
) -> None:
    """Write a run's pairs, with their pictures, for another trainer; or its model."""
    import sena
    from sena.errors import SenaError
    from sena.formats import EXPORTS

    if to not in (*EXPORTS, *MODEL):
        known = f"{', '.join(EXPORTS)} for the pairs, {' and '.join(MODEL)} for the model"
        raise SenaError(f"There is no layout {to!r}: known are {known}")
    if to == "merged" or to == "adapter":
        model = sena.export_model(run, to, out, round)
        if model.gap is not None:
            print(f"Logits of merged and unmerged differ by {model.gap:.1g}, those of the base by {model.moved:.1g}.")
        print(f"The model of round {model.round} is in {model.folder}.")
        print(f'Try it: sena ask {model.folder} photo.jpg "What is this?"')
        return
    made = sena.export(run, to, out, round)
    print(f"{made.pairs} pairs of round {made.round} are in {made.folder}.")
    if made.others:
        print(f"Those of another round: --round {' or '.join(map(str, made.others))}, into another --out.")
    print(f"To train on them here: sena train --pairs {made.folder}")
    if made.left_out:
        print(f"{len(made.left_out)} were left out, since their text holds <image> or the like: {made.left_out[0]} ...")


def train(
    pairs: Annotated[Path, typer.Option("--pairs", metavar="FILE", help="Parquet, JSON or JSONL, or an export.")],
    images: Annotated[Path | None, typer.Option("--images", metavar="ROOT", help="Where picture paths start.")] = None,
    model: Model = None,
    out: Annotated[Path | None, typer.Option("--out", help="The run folder; the same command goes on with it.")] = None,
    set: Set = None,
) -> None:
    """Train on a file of pairs alone, or go on where it stopped."""
    import sena

    folder = out or Path("runs") / pairs.stem
    sena.train(pairs, folder, images=images, model=model, settings=set or [])


def push(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    repo: Annotated[str, typer.Argument(help="Where on the hub: USER/NAME.")],
    pairs: Annotated[bool, typer.Option("--pairs", help="The last round's pairs, pictures included.")] = False,
    public: Annotated[bool, typer.Option("--public", help="For everybody to see.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Put a run's model, or its pairs, on the Hugging Face hub: private unless told otherwise."""
    import sena

    made = sena.push(run, repo, pairs=pairs, public=public, dry_run=dry_run)
    print(f"{made.kind} {made.repo}, {'public' if made.public else 'private'}:")
    for name, size in made.files:
        print(f"  {size:>15,} bytes  {name}")
    print(f"  {sum(size for _, size in made.files):>15,} bytes in all")
    print(f"It is at {made.url}" if made.url else "Nothing went: that was a dry run.")
