"""A run folder as two finished rounds would leave it, small enough to be made in a moment: all models are the base."""

from __future__ import annotations

import shutil
from pathlib import Path

from sena import files, ids
from sena.mini import mini_folder
from sena.mini.prompts import answer_prompt, describe_prompt
from sena.mini.source import MiniSource
from sena.recipes import load as recipes
from sena.recipes.recipe import load_recipe
from sena.records import Image, Pair
from sena.runs import tables
from sena.runs.folder import RunFolder, create_run

PICTURES = 4


def finished_run(path: Path, rounds: int = 1) -> RunFolder:
    """Pictures, pairs, models and evidence of each round, with a round 0 of evidence alone."""
    recipe = load_recipe("demo", rounds=max(rounds, 1), limit=PICTURES)
    run = create_run(path, recipes.dump(recipe), {"seed": recipe.run.seed})
    for number in range(rounds + 1):
        folder = run.round(number)
        files.write_json(folder.evidence, {"round": number, "benchmarks": {"mini": _figures(number)}})
        if number:
            images = [_image(PICTURES * number + place) for place in range(PICTURES)]
            pairs = [pair for image in images for pair in _pairs(image)]
            tables.write(folder.images, Image, images)
            tables.write(folder.table("pairs"), Pair, pairs)
            dropped = {"check": {"not answered by the picture": 3}}
            files.write_json(folder.funnel, {"images": PICTURES, "pairs": len(pairs), "dropped": dropped})
            shutil.copytree(mini_folder(), folder.model)
    return run


def _image(index: int) -> Image:
    source = MiniSource()
    path = source.list()[index]
    data = source.read(path)
    return Image(ids.of_bytes(data), source.name, path, files_sha256(data), 48, 48)


def files_sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def _pairs(image: Image) -> list[Pair]:
    row = ids.child(image.id, "question")
    asked = answer_prompt("is there a cup ?")
    return [
        Pair(ids.child(row, "answer"), row, image.id, "answer", asked, "yes", "no", "yes"),
        Pair(ids.child(row, "description"), row, image.id, "description", describe_prompt(0), "a cup .", "a dog .", ""),
    ]


def _figures(number: int) -> dict[str, object]:
    """A rate that falls by a tenth each round."""
    value = 0.3 - 0.1 * number
    figures = {"metrics": {"chair_i": {"value": value, "low": value - 0.05, "high": value + 0.05, "n": 100}}}
    if number:
        figures["to_base"] = {
            "chair_i": {"value": -0.1 * number, "low": -0.15 * number, "high": -0.05 * number, "n": 100}
        }
    return figures
