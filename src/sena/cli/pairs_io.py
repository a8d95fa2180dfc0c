"""Verbs for pairs that leave a run or come from elsewhere: export, train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sena.cli.run import Model, Set

TO = "trl, llama-factory, ms-swift or llava."


def export(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    to: Annotated[str, typer.Option("--to", metavar="LAYOUT", help=TO)],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder.")],
    round: Annotated[int | None, typer.Option("--round", help="Which round; the last one if not given.", min=1)] = None,
) -> None:
    """Write a run's pairs, with their pictures, for another trainer."""
    import sena

    made = sena.export(run, to, out, round)
    print(f"{made.pairs} pairs are in {made.folder}. To train on them here: sena train --pairs {made.folder}")
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
