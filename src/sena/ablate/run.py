"""All cells of a table, those not yet run in processes of their own, one a core; then the table."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sena import files
from sena.ablate import overlay
from sena.ablate.cells import Cell, Found, key_of, path_of, result
from sena.ablate.table import summary
from sena.errors import SenaError
from sena.progress import Reporter
from sena.recipes import names
from sena.runs.folder import locked

SECONDS = 1800
"""Longest a cell may take before it counts as failed."""
SHIPPED = "1"


def ablate(
    recipes: Sequence[str],
    out: str | Path,
    seeds: Sequence[int] = (0, 1),
    bases: str | Path = "bases",
    settings: Sequence[str] = (),
    jobs: int = 0,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Run every recipe on every base and seed, and sum up. Goes on where it stopped; a cell is run once.

    `recipes` may hold `quirks`, each quirk of the released code alone. `sena` is always among them, since all others
    are compared with it. `bases` is the folder that `make bases` fills; the shipped base is always used.
    Raises SenaError for a recipe or a setting that does not exist, before any cell is run.
    """
    out = Path(out)
    made = summary(run_cells(make_cells(recipes, seeds, Path(bases), tuple(settings)), out, jobs, reporter))
    files.write_json(out / "evidence.json", made)
    return made


def run_cells(cells: Sequence[Cell], out: Path, jobs: int = 0, reporter: Reporter | None = None) -> Found:
    """Run those cells that have no result yet, `jobs` at a time (0 for one a core). Returns all results.

    Raises RunFolderError when another process fills the same `out`: two of them would run into one another's cells.
    """
    reporter = reporter or Reporter()
    with locked(out):
        there = kept_cells(cells, out)
        waiting = [cell for cell, made in there.items() if made is None]
        done = len(cells) - len(waiting)
        reporter.say(f"{done} of {len(cells)} cells are there, {len(waiting)} are to be run; all is kept in {out}")
        with reporter.stage("cells", len(waiting)) as task, ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
            for cell in pool.map(lambda cell: _in_process(cell, out), waiting):
                task.advance(1, cell.name)
        made = kept_cells(waiting, out)
    if None in made.values():
        reporter.say("The source changed while cells ran: what the old one made counts as not yet run", "red")
    return {**there, **made}


def kept_cells(cells: Sequence[Cell], out: Path) -> Found:
    """What there is of the cells' results, without running any."""
    recipes = {cell: overlay.in_miniature(cell.recipe, cell.model, cell.seed, cell.settings) for cell in cells}
    return {cell: result(cell, key_of(cell, recipe), out) for cell, recipe in recipes.items()}


def make_cells(recipes: Sequence[str], seeds: Sequence[int], bases: Path, settings: tuple[str, ...] = ()) -> list[Cell]:
    """Seed by seed, so that a table that is stopped early has every recipe with the first seeds.

    Raises SenaError for two recipes that tables could not tell apart.
    """
    wanted = dict.fromkeys([overlay.BASIS, *recipes])
    if "quirks" in wanted:
        del wanted["quirks"]
        wanted |= dict.fromkeys(overlay.quirks())
    models = {SHIPPED: names.model_folder("mini"), **_made_bases(bases)}
    made = [
        Cell(recipe, base, model, seed, settings)
        for seed in seeds
        for base, model in models.items()
        for recipe in wanted
    ]
    labels: dict[str, str] = {}
    for cell in made:
        if labels.setdefault(cell.label, cell.recipe) != cell.recipe:
            raise SenaError(f"{labels[cell.label]} and {cell.recipe} are both called {cell.label}: rename one file")
    return made


def _made_bases(folder: Path) -> dict[str, str]:
    """The base models that are whole, by their seed."""
    found = sorted(path.parent for path in folder.glob("*/model.safetensors"))
    return {path.name: str(path) for path in found if path.name != SHIPPED}


def _in_process(cell: Cell, out: Path) -> Cell:
    """One thread, and no way for one cell to disturb another. What a cell says of itself is in its file."""
    ask = out / "asked" / f"{cell.name}.json"
    files.write_json(ask, asdict(cell))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-m", "sena.ablate.work", str(ask), str(out)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise SenaError(f"The cell {cell.name} took more than {SECONDS} seconds: run again, it goes on") from error
    if not path_of(cell, out).is_file() or done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word of why"])[-1]
        raise SenaError(f"The cell {cell.name} ended with an error ({last}): run again, what is done stays")
    return cell
