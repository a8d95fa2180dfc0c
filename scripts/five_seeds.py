"""The demo over five run seeds, and two controls: what the loop does in the miniature world, as tables.

`python scripts/five_seeds.py --out runs/five-seeds` prints Markdown: the mean over seeds of each metric's paired
difference to the base after three rounds, with a 95 % interval over the seeds (Student t), and each seed by itself.
Controls: chosen and rejected swapped, and a learning rate of zero, one round of seed 0 each. Goes on where it stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import statistics
from pathlib import Path
from typing import Any

import sena
from sena.engines.local import LocalEngine
from sena.evals.base import run_benchmark
from sena.mini import mini_folder
from sena.mini.bench import MiniBench
from sena.models.load import load
from sena.records import Pair
from sena.runs import tables
from sena.runs.folder import RunFolder

T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 8: 2.365, 10: 2.262}  # by number of runs
METRICS = (
    "chair_i", "chair_i_equal", "chair_s", "wrong_mentions", "true_mentions", "coverage", "attribute", "vqa",
    "pope_random", "pope_popular", "pope_adversarial", "yes_ratio", "length",
)  # fmt: skip
NO_LOSS = {"coverage", "attribute", "vqa"}


def evidence(run: Path, number: int) -> dict[str, Any]:
    return json.loads(RunFolder(run).round(number).evidence.read_text())["benchmarks"]["mini"]


def run_seed(out: Path, seed: int, settings: list[str]) -> Path:
    run = out / f"seed-{seed}"
    sena.evolve(sena.load_recipe("demo", settings=[f"run.seed={seed}", *settings]), run)
    return run


def run_swapped(out: Path, settings: list[str]) -> Path:
    """One round in which what should be preferred and what should not have changed places."""
    run = out / "swapped"
    recipe = sena.load_recipe("demo", rounds=1, settings=settings)
    if not RunFolder(run).round(1).evidence.is_file():
        sena.pairs(recipe, run)
        table = RunFolder(run).round(1).table("pairs")
        pairs = tables.read(table, Pair)
        tables.write(table, Pair, [dataclasses.replace(p, chosen=p.rejected, rejected=p.chosen) for p in pairs])
    sena.evolve(recipe, run)
    return run


def run_still(out: Path, settings: list[str]) -> Path:
    run = out / "still"
    sena.evolve(sena.load_recipe("demo", rounds=1, settings=["train.learning_rate=0", *settings]), run)
    return run


def judge_again(runs: list[Path], scenes: int) -> None:
    """Base and last models on more scenes of the evaluation pool than the runs themselves looked at."""
    bench = MiniBench()
    items = bench.items("evaluation", scenes)

    def records(model: str) -> list[Any]:
        return run_benchmark(bench, LocalEngine(load(model), 64), items)

    base = records(str(mini_folder()))
    changes = [bench.compare(base, records(str(RunFolder(run).round(3).model))) for run in runs]
    start = bench.summarise(base)
    print(f"\n| metric, {scenes} scenes | base | difference, interval over seeds | lowest lower end of a seed |")
    print("|---|---|---|---|")
    for name in METRICS:
        before = f"{start[name]['value']:.3f}" if name in start else ""
        low = min(change[name]["low"] for change in changes)
        print(f"| {name} | {before} | {over_seeds([change[name]['value'] for change in changes])} | {low:+.3f} |")


def over_seeds(values: list[float]) -> str:
    """Mean and 95 % interval over runs."""
    half = T_95[len(values)] * statistics.stdev(values) / math.sqrt(len(values))
    mean = statistics.mean(values)
    return f"{mean:+.3f} ({mean - half:+.3f} to {mean + half:+.3f})"


def tell(runs: list[Path], last: int) -> None:
    found = [evidence(run, last)["to_base"] for run in runs]
    base = [evidence(run, 0)["metrics"] for run in runs]
    after = [evidence(run, last)["metrics"] for run in runs]
    print(f"| metric | base | after round {last}, mean of {len(runs)} | difference, interval over seeds | each seed |")
    print("|---|---|---|---|---|")
    for name in METRICS:
        changes = [each[name]["value"] for each in found]
        each = ", ".join(f"{change:+.3f}" for change in changes)
        start = f"{base[0][name]['value']:.3f}" if name in base[0] else ""
        end = f"{statistics.mean(one[name]['value'] for one in after):.3f}" if name in after[0] else ""
        print(f"| {name} | {start} | {end} | {over_seeds(changes)} | {each} |")
    worst = {name: min(each[name]["low"] for each in found) for name in sorted(NO_LOSS)}
    print(f"\nLowest lower end of a seed's own paired interval (images): {worst}")


def control(title: str, run: Path) -> None:
    found = evidence(run, 1)["to_base"]
    cells = " | ".join(f"{found[name]['value']:+.3f}" for name in METRICS)
    print(f"| {title} | {cells} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/five-seeds"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--scenes", type=int, default=2000)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    options = parser.parse_args()
    runs = [run_seed(options.out, seed, options.settings) for seed in range(options.seeds)]
    swapped, still = run_swapped(options.out, options.settings), run_still(options.out, options.settings)
    tell(runs, 3)
    judge_again(runs, options.scenes)
    print(f"\n| one round of seed 0 | {' | '.join(METRICS)} |\n|---|{'---|' * len(METRICS)}")
    control("as it is", runs[0])
    control("chosen and rejected swapped", swapped)
    control("learning rate 0", still)


if __name__ == "__main__":
    main()
