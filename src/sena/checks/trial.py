"""A few of the user's images through the data half: their pairs to read, and what a whole run would take."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sena.data.make_pairs import Tables, make_pairs
from sena.engines.local import LocalEngine
from sena.images.pictures import Pictures
from sena.images.questions import by_picture, questions_about
from sena.images.sample import draw
from sena.images.sources import Source
from sena.models.load import load_under
from sena.progress import Reporter
from sena.recipes import names
from sena.recipes.recipe import Recipe
from sena.runs.metrics import peak_memory
from sena.stages.base import Context
from sena.text import printable


def run(recipe: Recipe, sources: Sequence[Source], count: int, reporter: Reporter) -> Tables:
    """Draw `count` images as round 1 would, make their pairs, print them, and project the data half's time.

    Raises SenaError when the model cannot be loaded or fewer images can be had.
    """
    drawn = draw(sources, count, recipe.run.seed, 1, limits=recipe.images.limits)
    pictures = Pictures(drawn.images, {source.name: source for source in sources}, recipe.images.limits)
    vlm = load_under(recipe.model, names.model_or_run(recipe.model.name))
    engine = LocalEngine(vlm, recipe.engine.batch, recipe.engine.cache_gb)
    start = time.monotonic()
    given = recipe.question.given
    asked = by_picture(questions_about(drawn.images, sources, given)) if given else {}
    context = Context(recipe.run.seed, 1, tuple(sorted(image.id for image in drawn.images)), asked)
    made = make_pairs(drawn.images, engine, pictures.open, recipe.stages(), context, recipe.engine.window)
    _tell(made, {image.id: f"{image.source}/{image.path}" for image in drawn.images}, reporter)
    _project(recipe, time.monotonic() - start, count, len(made.pairs), reporter)
    return made


def _tell(made: Tables, paths: dict[str, str], reporter: Reporter) -> None:
    for pair in made.pairs:
        reporter.say(f"\n{printable(paths[pair.image_id])} ({pair.kind}, pair {pair.id})")
        for label, text in (("prompt", pair.prompt), ("chosen", pair.chosen), ("rejected", pair.rejected)):
            reporter.say(f"  {label:9} {printable(text)}")
    last = {(said.id.partition("/")[0], said.stage): said.text for said in made.replies}  # an id begins with its row's
    for drop in made.drops:
        reporter.say(f"dropped: {printable(paths[drop.image_id])}, {drop.kind}, {drop.stage}: {drop.reason}")
        is_pair = drop.kind in ("description", "answer")
        said = last.get((drop.id, drop.stage))
        texts = {"chosen": drop.chosen, "rejected": drop.rejected} if is_pair else {"said": said}
        for label, text in texts.items():
            if text is not None:
                reporter.say(f"  {label:9} {printable(text) or '(nothing)'}")


def _project(recipe: Recipe, seconds: float, count: int, pairs: int, reporter: Reporter) -> None:
    images = recipe.run.rounds * recipe.run.images_per_round
    hours = seconds / count * images / 3600
    peak = peak_memory()
    memory = peak.get("peak_gpu_bytes", peak["peak_rss_bytes"]) / (1 << 30)
    reporter.say(
        f"\n{pairs} pairs of {count} images in {seconds:.1f} s, peak memory {memory:.1f} GiB. "
        f"At this rate the data halves of {images} images take {_long(hours)} (fuller batches take less)"
    )


def _long(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{max(1, round(60 * hours))} min"
