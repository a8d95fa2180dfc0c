"""Looks for a recipe that beats `sena`, on the tuning pool of the miniature world, one change at a time.

`python scripts/tune_plus.py` plays every candidate on the shipped base with seeds 100 and 101 and prints Markdown: the
mean of its differences to `sena`, paired by run. `--candidates rounds-6+like-lengths` plays changes joined to one. It
goes on where it stopped. Nothing here reads the evaluation pool. By which rules a candidate became `sena-plus`, which
is then compared with `sena` once (`make evidence`), and what came of it stands in docs/evidence.md. `--bases bases`
plays on the other base models too.
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
YES_NO = {"names": [name for name in USUAL if name != "yes_no"]}
OWN = {"filters": YES_NO, "samples": {"count": 4}}
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
    "no-image": {"corruption": {"kind": "no_image"}},
    "no-image-yes-no": {"corruption": {"kind": "no_image"}, "filters": YES_NO},
    "other-image-yes-no": {"corruption": {"kind": "other_image"}, "filters": YES_NO},
    "yes-no": {"filters": YES_NO},
    "yes-no-mixed": {"filters": YES_NO, "corruption": {"strength": 800, "strength_from": 400}},
    "yes-no-800": {"filters": YES_NO, "corruption": {"strength": 800}},
    "yes-no-questions-3": {"filters": YES_NO, "question": {"questions_per_image": 3}},
    "yes-no-slower-75": {"filters": YES_NO, "train": {"learning_rate": 1.5e-6}},
    "spoiled": {**OWN, "samples": {"count": 4, "rejected": "spoiled"}},
    "spoiled-slower-50": {**OWN, "samples": {"count": 4, "rejected": "spoiled"}, "train": {"learning_rate": 1.0e-6}},
    "own": OWN,
    "own-no-image": {**OWN, "corruption": {"kind": "no_image"}},
    "own-no-alignment": {**OWN, "alignment": {"weight": 0}},
    "own-beta-50": {**OWN, "dpo": {"beta": 0.5}},
    "own-slower-60": {**OWN, "train": {"learning_rate": 1.2e-6}},
    "own-slower-75": {**OWN, "train": {"learning_rate": 1.5e-6}},
    "own-slower-80": {**OWN, "train": {"learning_rate": 1.6e-6}},
}
"""What each changes in `sena`. A recipe of more rounds shares the same 900 pictures among them. From `no-image` on
they were tried after the first `sena-plus` (`rounds-9`) had lost; `own` pairs a model's own samples, yes/no as well."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", nargs="+", default=list(CANDIDATES), metavar="NAME[+NAME]")
    parser.add_argument("--out", type=Path, default=Path("runs/tune-plus"))
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--bases", type=Path, default=Path("no other bases"))
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    options = parser.parse_args()
    recipes = [write_candidate(name, options.out) for name in options.candidates]
    settings = ["eval.pool=tuning", *options.settings]
    made = ablate(recipes, options.out, options.seeds, options.bases, settings, options.jobs)
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
    """Of filters what either adds and neither drops, for all else the later one counts."""
    both = {**old, **new}
    if "names" in old and "names" in new:
        dropped = {name for name in USUAL if name not in old["names"] or name not in new["names"]}
        both["names"] = [name for name in dict.fromkeys([*old["names"], *new["names"]]) if name not in dropped]
    return both


if __name__ == "__main__":
    main()
