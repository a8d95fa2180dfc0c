"""The training half of a run again, on the tree and on plain rows: how much faster the tree was on its real pairs.

    python benchmarks/train_run.py runs/demo [--json F] [--threads N] [--repeats N]

Reads the first round's pairs and pictures from the run folder and changes nothing in it. Each side computes the
references and trains one round, alternately; the losses must agree before any speed is told.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from sena.align import forest, plain, reference, selftest, trainer
from sena.images.pictures import Pictures
from sena.models.load import load
from sena.recipes import load as recipes
from sena.recipes import names
from sena.recipes.recipe import Recipe
from sena.records import Image, Pair
from sena.runs import tables

Seconds = tuple[float, float]


def now() -> Seconds:
    """Wall and processor time."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()


def run(recipe: Recipe, pairs: list[Pair], pictures: Pictures, packing: str) -> tuple[Seconds, list[float]]:
    """One training half. Returns its seconds and the loss of every step."""
    settings = recipe.align()
    settings = settings.model_copy(update={"train": settings.train.model_copy(update={"packing": packing})})
    vlm = load(names.model_folder(recipe.model.name), recipe.model.dtype, recipe.model.device)
    told: list[float] = []
    with tempfile.TemporaryDirectory() as place:
        start = now()
        forward = selftest.choose_forward(vlm, settings.train, pairs, pictures.open, print)
        size = settings.train.pairs_per_batch
        known = reference.compute(vlm, pairs, pictures.open, Path(place) / "r", size, forward)
        data = trainer.Preferences(pairs, pictures.open, known, names.loss(settings.dpo))
        trainer.train(vlm, data, settings, 0, Path(place) / "c", lambda step: told.append(step.loss), forward)
        wall, cpu = (end - begin for begin, end in zip(start, now(), strict=True))
    return (wall, cpu), told


def count_tokens(recipe: Recipe, pairs: list[Pair], pictures: Pictures) -> dict[str, int]:
    """What goes through the language model, without padding."""
    vlm = load(names.model_folder(recipe.model.name), recipe.model.dtype, recipe.model.device)
    encoded = plain.encode_pairs(vlm, pairs, pictures.open)
    groups = [[encoded[number] for number in numbers] for numbers in forest.by_image(encoded)]
    return {
        "tree": sum(len(forest.plant(group).tree.ids) for group in groups),
        "plain": sum(2 * len(each.prompt) + len(each.chosen) + len(each.rejected) for each in encoded),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("run", type=Path, help="a run folder")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    recipe, _ = recipes.load(Recipe, options.run / "recipe.yaml")
    place = options.run / "round-1"
    pairs, images = tables.read(place / "pairs.parquet", Pair), tables.read(place / "images.parquet", Image)
    pictures = Pictures(images, {each.name: each for each in names.sources(recipe.images)}, recipe.images.limits)
    found: dict[str, list[Seconds]] = {"tree": [], "plain": []}
    losses: dict[str, list[float]] = {}
    for _ in range(options.repeats):
        for packing, seconds in found.items():
            spent, losses[packing] = run(recipe, pairs, pictures, packing)
            seconds.append(spent)
    gap = max(abs(one - other) for one, other in zip(losses["tree"], losses["plain"], strict=True))
    if gap > 1e-2:
        raise SystemExit(f"tree and plain rows differ in a step's loss by {gap:.2g}")
    each = Counter(Counter(pair.image_id for pair in pairs).values())
    best = {packing: [min(kind) for kind in zip(*seconds, strict=True)] for packing, seconds in found.items()}
    report: dict[str, Any] = {
        "pairs": len(pairs),
        "images_by_pairs": {str(count): each[count] for count in sorted(each)},
        "tokens": count_tokens(recipe, pairs, pictures),
        "seconds": {packing: {"wall": wall, "cpu": cpu} for packing, (wall, cpu) in best.items()},
        "ratio": best["plain"][0] / best["tree"][0],
        "ratio_cpu": best["plain"][1] / best["tree"][1],
        "largest_loss_gap": gap,
    }
    print(json.dumps(report, indent=1))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
