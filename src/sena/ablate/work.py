"""Runs one cell in a process of its own: `python -m sena.ablate.work CELL.json OUT`. One thread, so that as many cells
run side by side as there are cores."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from sena import files
from sena.ablate.cells import Cell, keep, key_of
from sena.ablate.overlay import in_miniature
from sena.errors import SenaError
from sena.progress import Reporter


def run_cell(cell: Cell, out: Path) -> None:
    """The recipe from base to last round; the figures of every round are kept, the run folder is not."""
    from sena.rounds.evolve import evolve
    from sena.rounds.job import git_commit

    recipe = in_miniature(cell.recipe, cell.model, cell.seed, cell.settings)
    run, start = out / "runs" / cell.name, time.monotonic()
    if run.is_dir() and (run / "key.json").is_file() and files.read_json(run / "key.json") != key_of(cell, recipe):
        files.remove_tree(run)  # it was begun with another source or recipe
    made: dict[str, Any] = {"commit": git_commit()}
    try:
        _remember(run, cell, recipe)
        evolve(recipe, run / "run", Reporter(Console(file=open(run / "said.txt", "w"))))  # noqa: SIM115
        made["rounds"] = [_round(run / "run", number, recipe.dpo.beta) for number in range(recipe.run.rounds + 1)]
    except SenaError as error:
        made["failed"] = str(error)
    made["seconds"] = round(time.monotonic() - start, 1)
    keep(cell, key_of(cell, recipe), out, made)
    files.remove_tree(run)


def _remember(run: Path, cell: Cell, recipe: Any) -> None:
    run.mkdir(parents=True, exist_ok=True)
    files.write_json(run / "key.json", key_of(cell, recipe))


def _round(run: Path, number: int, beta: float) -> dict[str, Any]:
    """What is kept of a round: every figure from which tables, alarms and correlations are worked out again."""
    from sena.rounds.watching import training

    folder = run / f"round-{number}"
    evidence, learned = files.read_json(folder / "evidence.json"), training(run / "metrics.jsonl", number, beta)
    bench = evidence["benchmarks"]["mini"]
    made = {name: bench.get(name, {}) for name in ("metrics", "to_base")}
    funnel = folder / "funnel.json"
    pairs = files.read_json(funnel)["pairs"] if funnel.is_file() else 0
    watched, alarms = evidence.get("watched", {}), evidence.get("alarms", [])
    trained = asdict(learned) if learned else None
    return {**made, "watched": watched, "alarms": alarms, "training": trained, "pairs": pairs}


def main() -> None:
    told = json.loads(Path(sys.argv[1]).read_text())
    run_cell(Cell(**{**told, "settings": tuple(told["settings"])}), Path(sys.argv[2]))


if __name__ == "__main__":
    main()
