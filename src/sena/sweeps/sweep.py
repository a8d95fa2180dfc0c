"""`sena sweep`: kinds and strengths of corruption tried on a sample of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch

from sena import files
from sena.data.run_stage import Dropped
from sena.engines.base import window
from sena.engines.local import LocalEngine
from sena.engines.looks import demand
from sena.errors import SenaError
from sena.images.pictures import Pictures
from sena.images.questions import by_picture, questions_about
from sena.mini.stranger import hint_of
from sena.models.load import load_under, load_without_weights
from sena.models.template import for_data
from sena.progress import Reporter, Task
from sena.recipes import names
from sena.recipes.recipe import Recipe
from sena.records import Image
from sena.runs import tables
from sena.runs.folder import locked
from sena.stages.base import Context
from sena.sweeps import asking
from sena.sweeps.asking import Cell, Clean, Spoiled
from sena.sweeps.folder import SweepFolder, begin, sample
from sena.sweeps.picture import write_picture
from sena.sweeps.sums import RULE, Spoiling, defaults, spoiling


def sweep(
    recipe: Recipe, out: str | Path, kinds: Sequence[str] = (), reporter: Reporter | None = None
) -> dict[str, Any]:
    """Try `kinds` (default: all) at the strengths of their ladders on `run.images_per_round` images.

    All is kept in `out`; a second call goes on, and tells of all that is there. Returns what `sweep.json` holds:
    `rule`, `defaults` by kind, and for each of the `cells` its kind, strength and figures (see sums.py) for
    `description`, `answer` and `all`.
    Raises SenaError for an unknown kind, one that this model's input does not allow, or images that give no answer.
    """
    reporter = reporter or Reporter()
    tried, folder = asking.cells(kinds), SweepFolder(Path(out))
    with locked(folder.path):
        eye = load_without_weights(names.model_or_run(recipe.model.name))
        for cell in tried:
            demand(eye, cell.kind, cell.strength)
        reporter.say(f"{'Going on with the' if begin(folder, recipe) else 'A new'} sweep in {out}")
        parts = _ask(folder, recipe, tried, reporter)
        clean = [each for number in range(parts) for each in tables.read(folder.part(number, "clean"), Clean)]
        _tell_drops(folder, parts, clean, reporter)
        there = [cell for cell in asking.cells() if cell in tried or folder.holds(cell.name, parts)]
        found = [_spoiling(folder, cell, parts, clean, reporter) for cell in there]
        result = _result(found, recipe, len({each.image_id for each in clean}))
        files.write_json(folder.result, result)
        write_picture(folder.path, found)
    return result


def _ask(folder: SweepFolder, recipe: Recipe, tried: Sequence[Cell], reporter: Reporter) -> int:
    """Ask whatever was not asked before, a window of images at a time. Returns the number of windows."""
    sources = names.sources(recipe.images, recipe.question.given)
    images = sample(folder, recipe, sources)
    if told := hint_of(names.model_or_run(recipe.model.name), sources):
        reporter.say(f"note: {told}")
    given = recipe.question.given
    asked = by_picture(questions_about(images, sources, given)) if given else {}
    context = Context(recipe.run.seed, 1, tuple(sorted(image.id for image in images)), asked)
    pictures = Pictures(images, {source.name: source for source in sources}, recipe.images.limits)

    @cache
    def engine() -> LocalEngine:
        torch.set_num_threads(recipe.engine.threads or torch.get_num_threads())
        vlm = load_under(recipe.model, names.model_or_run(recipe.model.name))
        template = for_data(recipe.model.data_template, vlm.template, vlm.processor)
        return LocalEngine(vlm.with_template(template), recipe.engine.batch, recipe.engine.cache_gb)

    size = recipe.engine.window
    parts = [images[start : start + size] for start in range(0, len(images), size)]
    done = sum(
        len(part) for number, part in enumerate(parts) for cell in tried if folder.part(number, cell.name).is_file()
    )
    with reporter.stage("spoiled pictures", len(images) * len(tried), done) as task:
        for number, part in enumerate(parts):
            missing = [cell for cell in tried if not folder.part(number, cell.name).is_file()]
            if missing:
                _ask_window(folder, number, part, missing, (engine(), pictures, recipe, context), task)
    return len(parts)


def _ask_window(
    folder: SweepFolder,
    number: int,
    images: Sequence[Image],
    missing: Sequence[Cell],
    means: tuple[LocalEngine, Pictures, Recipe, Context],
    task: Task,
) -> None:
    engine, pictures, recipe, context = means
    config, open_image = recipe.stages(), pictures.open
    kept = folder.part(number, "clean")
    with window(engine):
        if not kept.is_file():
            clean, drops = asking.ask_clean(images, engine, open_image, config, context)
            tables.write(folder.part(number, "drops"), Dropped, drops)
            tables.write(kept, Clean, clean)
    clean = tables.read(kept, Clean)
    for cell in missing:
        with window(engine):  # a window a cell, so that pictures that are done with give way
            spoiled = asking.ask_spoiled(clean, cell, engine, open_image, config, context)
        tables.write(folder.part(number, cell.name), Spoiled, spoiled)
        task.advance(len(images), cell.name)


def _spoiling(folder: SweepFolder, cell: Cell, parts: int, clean: Sequence[Clean], reporter: Reporter) -> Spoiling:
    spoiled = [each for number in range(parts) for each in tables.read(folder.part(number, cell.name), Spoiled)]
    if len(spoiled) < len(clean):
        reporter.say(f"  {cell.name}: {len(clean) - len(spoiled)} texts left out, their picture cannot be read")
    return spoiling(clean, spoiled, cell)


def _tell_drops(folder: SweepFolder, parts: int, clean: Sequence[Clean], reporter: Reporter) -> None:
    drops = [each for number in range(parts) for each in tables.read(folder.part(number, "drops"), Dropped)]
    for (stage, reason), count in sorted(Counter((drop.stage, drop.reason) for drop in drops).items()):
        reporter.say(f"  {count} left out by {stage}: {reason}")
    if not clean:
        raise SenaError("No image gave a question that the model could settle: try more images, or look at `check`")


def _result(found: Sequence[Spoiling], recipe: Recipe, answered: int) -> dict[str, Any]:
    return {
        "model": recipe.model.name,
        "images": recipe.run.images_per_round,
        "answered": answered,
        "kind": recipe.corruption.kind,
        "strength": recipe.corruption.strength,
        "rule": RULE,
        "defaults": defaults(found),
        "cells": [{**asdict(each.cell), "fit": each.is_fit, **each.figures} for each in found],
    }
