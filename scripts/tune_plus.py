"""Looks for a recipe that beats `sena`, on the tuning pool of the miniature world, one change at a time.

`python scripts/tune_plus.py` plays every candidate on the shipped base with seeds 100 and 101 and prints Markdown: the
mean of its differences to `sena`, paired by run. `--candidates rounds-6+like-lengths` plays changes joined to one. It
goes on where it stopped. Nothing here reads the evaluation pool. What wins becomes `sena-plus`, and is then compared
with `sena` once (`make evidence`): the least mean `chair_i` among those whose mean `coverage` and `vqa` fall by no more
than .005; within .001 of it the most `pope_adversarial`, and between equals the fewest changes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

from sena import files
from sena.ablate import ablate
from sena.ablate.table import markdown
from sena.recipes.recipe import load_recipe

SEEDS = (100, 101)
USUAL = list(load_recipe("sena", images="mini").filters.names)
CANDIDATES: dict[str, dict[str, Any]] = {
    "strength-700": {"corruption": {"strength": 700}},
    "strength-800": {"corruption": {"strength": 800}},
    "strength-mixed": {"corruption": {"strength": 800, "strength_from": 400}},
    "like-lengths": {"filters": {"names": [*USUAL, "unlike_lengths"]}},
    "supported": {"filters": {"names": [*USUAL, "unsupported"]}},
    "samples": {"samples": {"count": 4, "rejected": "spoiled"}},
    "rounds-6": {"run": {"rounds": 6}},
    "rounds-9": {"run": {"rounds": 9}},
    "ipo": {"dpo": {"loss": "ipo"}},
    "per-token": {"dpo": {"per_token": True}},
    "alignment-half": {"alignment": {"weight": 0.5}},
}
"""What each changes in `sena`. A recipe of more rounds shares the same 900 pictures among them."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", nargs="+", default=list(CANDIDATES), metavar="NAME[+NAME]")
    parser.add_argument("--out", type=Path, default=Path("runs/tune-plus"))
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    options = parser.parse_args()
    recipes = [write_candidate(name, options.out) for name in options.candidates]
    settings = ["eval.pool=tuning", *options.settings]
    one_base = options.out / "no other bases"
    made = ablate(recipes, options.out, options.seeds, one_base, settings, options.jobs)
    page = f"Against `sena`, tuning pool, seeds {made['seeds']}, source {', '.join(made['source'])}:\n\n"
    page += markdown(made, "to_sena") + f"\nAgainst the base:\n\n{markdown(made)}"
    files.write_text(options.out / "table.md", page)
    print(page)


def write_candidate(name: str, out: Path) -> str:
    """The recipe file of a candidate, or of several joined by +."""
    changes: dict[str, Any] = {"extends": "sena"}
    for part in name.split("+"):
        if part not in CANDIDATES:
            raise SystemExit(f"There is no candidate {part}: known are {', '.join(CANDIDATES)}")
        for group, values in CANDIDATES[part].items():
            changes[group] = joined(changes.get(group, {}), values)
    path = out / "recipes" / f"{name}.yaml"
    files.write_text(path, yaml.safe_dump(changes, sort_keys=False))
    return str(path)


def joined(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Lists are joined, for all else the later one counts."""
    both = {key: [*old[key], *new[key]] for key in old.keys() & new.keys() if isinstance(new[key], list)}
    return {**old, **new, **{key: list(dict.fromkeys(values)) for key, values in both.items()}}


if __name__ == "__main__":
    main()
