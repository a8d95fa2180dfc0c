"""The alarms on trial: healthy runs and runs made to collapse, in how many each alarm fired, and what it looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sena.ablate.cells import Cell, Found
from sena.ablate.overlay import BASIS
from sena.ablate.run import make_cells
from sena.evals.alarms import Training, readings

COLLAPSING = ("too-fast", "swapped")
SET, JUDGED = range(100, 105), range(5)
"""Run seeds on which thresholds are set, and those on which they are judged."""
NAMES = ("length", "yes_ratio", "distinct_questions", "duplicates", "grounding", "margin", "drift", "not learned")
ALARMS = (*NAMES, "skill")
Fired = dict[str, dict[str, Any]]


def alarm_cells(seeds: Sequence[int], settings: Sequence[str] = ()) -> list[Cell]:
    """On the shipped base. Thresholds are set on pictures of the tuning pool, and judged on those of evaluation."""
    pool = "tuning" if min(seeds) >= min(SET) else "evaluation"
    return make_cells(COLLAPSING, seeds, Path("no bases but the shipped one"), (*settings, f"eval.pool={pool}"))


def fired(found: Found) -> Fired:
    """For each recipe `runs`, `of`, and by alarm in how many runs it fired in any round (`alarms`; `any` for at least
    one alarm), and the least and the most that it read in the rounds of all runs (`least`, `most`)."""
    return {label: _recipe(label, found) for label in dict.fromkeys(cell.label for cell in found)}


def _recipe(label: str, found: Found) -> dict[str, Any]:
    mine = [made for cell, made in found.items() if cell.label == label]
    runs = [made["rounds"] for made in mine if made is not None and "rounds" in made]
    names = [{alarm["name"] for each in rounds for alarm in each["alarms"]} for rounds in runs]
    read = [_readings(rounds[0], each) for rounds in runs for each in rounds[1:]]
    known = [name for name in ALARMS if any(name in each for each in read)]
    return {
        "runs": len(runs),
        "of": len(mine),
        "any": sum(bool(each) for each in names),
        "alarms": {name: sum(name in each for each in names) for name in ALARMS},
        "least": {name: min(each[name] for each in read if name in each) for name in known},
        "most": {name: max(each[name] for each in read if name in each) for name in known},
    }


def _readings(base: dict[str, Any], each: dict[str, Any]) -> dict[str, float]:
    from sena.rounds.watching import skills

    watched, trained = each["watched"], each["training"]
    return readings(
        watched.get("metrics", {}),
        base["watched"].get("metrics", {}),
        watched.get("to_base", {}),
        Training(**trained) if trained else None,
        skills([each["to_base"]]),
    )


def markdown(made: Fired) -> str:
    """A row an alarm: in how many runs of each recipe it fired, and between what it read."""
    heads = [
        f"{'healthy' if label == BASIS else label}, {row['runs']} of {row['of']} runs" for label, row in made.items()
    ]
    lines = [f"| alarm | {' | '.join(heads)} |", f"|---|{'---|' * len(made)}"]
    if not any(row["runs"] for row in made.values()):
        return "not yet run\n"
    for name in ALARMS:
        lines.append(f"| {name} | {' | '.join(_told(row, name) for row in made.values())} |")
    lines.append(f"| any | {' | '.join(str(row['any']) if row['runs'] else 'not yet run' for row in made.values())} |")
    return "\n".join(lines) + "\n"


def _told(row: dict[str, Any], name: str) -> str:
    if not row["runs"]:
        return "not yet run"
    read = f" ({row['least'][name]:+.2f} to {row['most'][name]:+.2f})" if name in row["least"] else ""
    return f"{row['alarms'][name]}{read}"
