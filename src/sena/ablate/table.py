"""From cells to one table: means over runs with Student's intervals, against the base and against `sena`, paired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table

from sena.ablate.cells import Cell, Found
from sena.ablate.overlay import BASIS
from sena.stats import Figure, over_runs

SHOWN = ("chair_i", "coverage", "pope_adversarial", "pope_popular", "vqa", "length")


def summary(found: Found) -> dict[str, Any]:
    """`base`, and for each recipe `metrics` after the last round, `to_base`, `to_sena`, `watched`, and what was run.

    Every figure is a mean over runs (base model x seed). A recipe of which nothing was run yet has `runs: 0`.
    """
    done = {cell: made for cell, made in found.items() if made is not None and "rounds" in made}
    recipes = dict.fromkeys(cell.label for cell in found)
    start = {(cell.base, cell.seed): made["rounds"][0]["metrics"] for cell, made in done.items()}
    return {
        "seeds": sorted({cell.seed for cell in found}),
        "bases": sorted({cell.base for cell in found}),
        "source": sorted({made["key"]["source"] for made in done.values()}),
        "commits": sorted({made["commit"] for made in done.values()}),
        "base": _means(list(start.values())),
        "recipes": {name: _recipe(name, found, done) for name in recipes},
    }


def _recipe(name: str, found: Found, done: Mapping[Cell, dict[str, Any]]) -> dict[str, Any]:
    mine = {(cell.base, cell.seed): made for cell, made in done.items() if cell.label == name}
    theirs = {(cell.base, cell.seed): made for cell, made in done.items() if cell.label == BASIS}
    last = {run: made["rounds"][-1] for run, made in mine.items()}
    failed = [made["failed"] for cell, made in found.items() if cell.label == name and made and "failed" in made]
    return {
        "runs": len(mine),
        "of": sum(cell.label == name for cell in found),
        "failed": sorted(set(failed)),
        "commits": sorted({made["commit"] for made in mine.values()}),
        "pairs": over_runs([float(sum(each["pairs"] for each in made["rounds"])) for made in mine.values()])
        if mine
        else {},
        "alarms": sorted(
            {alarm["name"] for made in mine.values() for each in made["rounds"] for alarm in each["alarms"]}
        ),
        "metrics": _means([each["metrics"] for each in last.values()]),
        "to_base": _means([each["to_base"] for each in last.values()]),
        "to_sena": _differences(last, {run: made["rounds"][-1] for run, made in theirs.items()}),
        "watched": _means([each["watched"].get("metrics", {}) for each in last.values()]),
    }


def _means(figures: list[dict[str, Figure]]) -> dict[str, Figure]:
    """Of every metric that all runs have."""
    if not figures:
        return {}
    shared = [name for name in figures[0] if all(name in each for each in figures)]
    return {name: over_runs([each[name]["value"] for each in figures]) for name in shared}


def _differences(mine: Mapping[Any, Any], theirs: Mapping[Any, Any]) -> dict[str, Figure]:
    """Paired by base model and seed."""
    runs = [run for run in mine if run in theirs]
    if not runs:
        return {}
    pairs = [(mine[run]["metrics"], theirs[run]["metrics"]) for run in runs]
    shared = [name for name in pairs[0][0] if all(name in own and name in other for own, other in pairs)]
    return {name: over_runs([own[name]["value"] - other[name]["value"] for own, other in pairs]) for name in shared}


def table(made: dict[str, Any]) -> Table:
    """One row a recipe: its metrics after the last round, and how many of its runs are there."""
    shown = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    shown.add_column("recipe")
    for name in SHOWN:
        shown.add_column(name.replace("_", "\n", 1), justify="right")
    shown.add_column("runs", justify="right")
    shown.add_row("(base)", *(_value(made["base"], name) for name in SHOWN), "")
    for name, recipe in made["recipes"].items():
        runs = f"{recipe['runs']}/{recipe['of']}"
        cells = [_value(recipe["metrics"], metric) for metric in SHOWN] if recipe["runs"] else [_why_none(recipe)]
        shown.add_row(name, *cells, *[""] * (len(SHOWN) - len(cells)), f"{runs} failed" if recipe["failed"] else runs)
    return shown


def _value(figures: Mapping[str, Figure], name: str) -> str:
    if name not in figures:
        return ""
    value = figures[name]["value"]
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def markdown(made: dict[str, Any], against: str = "to_base") -> str:
    """The same for documents, with intervals of the difference (to the base, or `to_sena`)."""
    lines = [f"| recipe | {' | '.join(SHOWN)} | pairs | alarms | runs |", f"|---|{'---|' * (len(SHOWN) + 3)}"]
    for name, recipe in made["recipes"].items():
        runs = f"{recipe['runs']} of {recipe['of']}"
        if not recipe["runs"]:
            lines.append(f"| {name} |{' |' * len(SHOWN)} | | {_why_none(recipe)} |")
            continue
        cells = " | ".join(_interval(recipe[against].get(metric)) for metric in SHOWN)
        pairs = f"{recipe['pairs']['value']:.0f}"
        lines.append(f"| {name} | {cells} | {pairs} | {', '.join(recipe['alarms'])} | {runs} |")
    return "\n".join(lines) + "\n"


def _why_none(recipe: Mapping[str, Any]) -> str:
    return "failed: " + "; ".join(recipe["failed"]) if recipe["failed"] else "not yet run"


def figures(made: Mapping[str, Figure]) -> str:
    """One model's metrics for documents."""
    if not made:
        return "not yet run\n"
    rows = [
        f"| {name} | {_value(made, name)} | {each['low']:.3f} to {each['high']:.3f} |" for name, each in made.items()
    ]
    return "\n".join(["| metric | mean | 95 % over runs |", "|---|---|---|", *rows]) + "\n"


def _interval(figure: Figure | None) -> str:
    if figure is None:
        return ""
    if figure["n"] < 2:
        return f"{figure['value']:+.3f} (one run)"
    return f"{figure['value']:+.3f} ({figure['low']:+.3f} to {figure['high']:+.3f})"
