"""Verbs about benchmarks: eval, bench ls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

bench = typer.Typer(help="What the benchmarks need, and what their numbers mean.", no_args_is_help=True)


@bench.command("ls")
def list_benchmarks(
    name: Annotated[str | None, typer.Argument(help="One benchmark, told at length.")] = None,
) -> None:
    """The benchmarks; with a name its files, where they come from, its prompt, and what its numbers mean."""
    from sena.errors import SenaError
    from sena.recipes.names import suites

    known = {each: about for each, (about, _) in suites().items()}
    if name is None:
        print(f"{'mini':16} the miniature world, whose truth is known; needs no files")
        for each, about in known.items():
            print(f"{each:16} {about.title}{' (needs --judge)' if about.judged else ''}")
        print("\nFiles, source, prompt and meaning of one: sena bench ls pope")
        return
    if name not in known:
        raise SenaError(f"There is no benchmark {name!r} on files: known are {', '.join(known)}")
    about = known[name]
    print(f"{about.title}\n\nFiles below the folder that --data names:")
    for path, what in about.files:
        print(f"  {path:48} {what}")
    print(f"From: {about.source}\nPrompt: {about.prompt}\nNumbers: {about.metric}")


def evaluate(
    model: Annotated[str, typer.Argument(help="A model's folder or name, a run folder, or `mini`.")],
    bench: Annotated[str, typer.Option("--bench", help="Benchmarks, with commas between.")] = "mini",
    data: Annotated[str, typer.Option("--data", metavar="DIR", help="The folder with the benchmarks' files.")] = "",
    limit: Annotated[int | None, typer.Option("--limit", help="Pictures a benchmark looks at.", min=1)] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Keeps answers; the same command goes on.")] = None,
    against: Annotated[str | None, typer.Option("--against", metavar="MODEL", help="Compare with this one.")] = None,
    judge: Annotated[str, typer.Option("--judge", metavar="URL", help="An OpenAI-compatible endpoint.")] = "",
    judge_model: Annotated[str, typer.Option("--judge-model", metavar="NAME", help="The judge's model.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a model where the truth is known."""
    import json

    from rich.console import Console

    import sena
    from sena.errors import SenaError
    from sena.evals.judge import Judge
    from sena.rounds.evidence import table

    if bool(judge) != bool(judge_model):
        raise SenaError("A judge needs both: --judge URL and --judge-model NAME")
    asked = list(dict.fromkeys(name.strip() for name in bench.split(",") if name.strip()))
    by = Judge(judge, judge_model) if judge else None
    found = sena.evaluate(model, asked, data=data, limit=limit, out=out, against=against, judge=by)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    console = Console(highlight=False)
    for name, figures in found.items():  # a table each, and below it what has to be known to read it
        if figures["metrics"]:
            changes = {"to_base": figures["to_other"]} if "to_other" in figures else {}
            console.print(table(name, {"metrics": figures["metrics"], **changes}, "the other"))
        if "to_other" in figures:
            console.print(f"the other: {against}", markup=False, soft_wrap=True)
        for what, note in figures["notes"].items():
            console.print(f"{what}: {note}", markup=False, soft_wrap=True)
        if "submission" in figures:
            console.print(f"The truth is hidden: upload {figures['submission']}", markup=False, soft_wrap=True)
