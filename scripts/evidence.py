"""All of the evidence by one command: `make evidence`, or `python scripts/evidence.py`.

Plays every recipe on every base and seed, and the runs on which the alarms are tried; then writes docs/evidence.json,
the tables of docs/evidence.md (between its marks) and docs/pictures/evidence.png. It goes on where it stopped. With
`--kept` nothing is run: what was not yet run is said to be so.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sena import files
from sena.ablate import fired, worth
from sena.ablate.cells import Cell, Found
from sena.ablate.picture import draw
from sena.ablate.run import kept_cells, make_cells, run_cells
from sena.ablate.table import figures, markdown, summary

DOCS = Path(__file__).parents[1] / "docs"
ROUNDS_9 = Path(__file__).parent / "recipes" / "rounds-9.yaml"
RECIPES = (
    *("sena-plus", str(ROUNDS_9), "sena-as-released", "seva", "seva-800", "seva-moco", "stic", "rlaif-v"),
    *("no-check", "blind-check", "no-enhance", "no-alignment", "alignment-only", "no-corruption"),
    *("still", "swapped", "shuffled", "quirks"),
)
"""`sena` itself is always there. `stic-prompt` is not: the miniature knows no bad prompt."""
SEEDS = (0, 1)
FIXED, FIXED_SEEDS = "sena-plus", (2, 3)
"""The comparison that is fixed beforehand: this recipe against `sena`, on run seeds that no candidate had met."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/evidence"))
    parser.add_argument("--bases", type=Path, default=Path("bases"))
    parser.add_argument("--docs", type=Path, default=DOCS)
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--kept", action="store_true", help="run nothing, tell what is there")
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], dest="settings", help="for trials of this script only")
    options = parser.parse_args()

    def cells(asked: Sequence[Cell]) -> Found:
        return kept_cells(asked, options.out) if options.kept else run_cells(asked, options.out, options.jobs)

    table = cells(make_cells(options.recipes, options.seeds, options.bases, tuple(options.settings)))
    fixed = [each for each in options.recipes if Path(each).stem == FIXED]
    compared = cells(make_cells(fixed, FIXED_SEEDS, options.bases, tuple(options.settings)))
    tried = {
        half: fired.fired(cells(fired.alarm_cells(seeds, options.settings)))
        for half, seeds in (("set", fired.SET), ("judged", fired.JUDGED))
    }
    made = {
        **summary(table),
        "fixed": summary(compared),
        "alarms": tried,
        "label_free": worth.worth(table),
        "settings": options.settings,
    }
    write(made, options.docs)


def write(made: dict[str, Any], docs: Path) -> None:
    files.write_json(docs / "evidence.json", made)
    path, drawn = docs / "evidence.md", "not yet run\n"
    if any(recipe["runs"] for recipe in made["recipes"].values()):
        draw(made, docs / "pictures" / "evidence.png")
        drawn = "![each recipe's difference to the base with its interval](pictures/evidence.png)\n"
    files.write_text(path, filled(path.read_text(encoding="utf-8"), {**pages(made), "picture": drawn}))


def pages(made: dict[str, Any]) -> dict[str, str]:
    """What stands between the marks of evidence.md, by mark."""
    return {
        "state": state(made),
        "base": figures(made["base"]),
        "to_base": markdown(made),
        "to_sena": markdown(made, "to_sena"),
        "fixed": markdown(made["fixed"], "to_sena"),
        "alarms_set": fired.markdown(made["alarms"]["set"]),
        "alarms_judged": fired.markdown(made["alarms"]["judged"]),
        "label_free": worth.markdown(made["label_free"]),
    }


def state(made: dict[str, Any]) -> str:
    """Of which source all numbers are, and how many of the runs are there."""
    runs = [sum(recipe[name] for recipe in made["recipes"].values()) for name in ("runs", "of")]
    empty = "unknown" if runs[0] else "none yet"
    trial = f" A trial with {', '.join(made['settings'])}: these numbers are no evidence." if made["settings"] else ""
    return (
        f"{runs[0]} of {runs[1]} runs of the table are there: base models {', '.join(made['bases'])}, seeds "
        f"{', '.join(map(str, made['seeds']))}. All numbers are of source `{', '.join(made['source']) or empty}`, "
        f"commit `{', '.join(made['commits']) or empty}`.{trial}\n"
    )


def filled(text: str, made: dict[str, str]) -> str:
    """The document with what stands between `<!-- NAME -->` and `<!-- /NAME -->` replaced. Every mark must be there."""
    for name, page in made.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise SystemExit(f"evidence.md must hold {begin} and {end} once each")
        text = re.sub(f"{begin}.*?{end}", lambda _, b=begin, p=page, e=end: f"{b}\n{p}{e}", text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    main()
