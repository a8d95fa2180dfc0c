"""The data half of a round: fresh images, then pairs of them, shard by shard."""

from __future__ import annotations

from collections.abc import Sequence

from sena import files
from sena.data import shards
from sena.data.make_pairs import make_pairs
from sena.engines.looks import demand
from sena.errors import SenaError
from sena.images.questions import Asked, by_picture, match, questions_about
from sena.images.sample import Used, draw
from sena.images.sources import Skipped
from sena.models.template import for_data
from sena.recipes import names
from sena.records import Image, Pair
from sena.rounds import watching
from sena.rounds.job import Job
from sena.runs import tables
from sena.runs.metrics import peak_memory
from sena.seeds import derive
from sena.stages.base import Context
from sena.stages.control import controlled
from sena.stages.pair import thinned


def draw_images(job: Job, number: int) -> list[Image]:
    """The round's images, drawn once and frozen; those of earlier rounds are never drawn again."""
    folder = job.round(number)
    if folder.images.is_file():
        return tables.read(folder.images, Image)
    watching.set_aside(job)
    earlier = [job.round(before) for before in range(number)]
    used = Used.of(
        [image for each in earlier for image in tables.read(each.images, Image)],
        [skip for each in earlier for skip in tables.read(each.skipped, Skipped)],
    )
    run = job.recipe.run
    drawn = draw(job.sources, run.images_per_round, run.seed, number, used, job.recipe.images.limits)
    tables.write(folder.skipped, Skipped, drawn.skipped)
    tables.write(folder.images, Image, drawn.images)
    job.say(f"  {drawn.summary()}")
    return list(drawn.images)


def given_questions(job: Job, number: int, images: Sequence[Image]) -> dict[str, tuple[str, ...]]:
    """What people asked about the round's images, by image id, looked up once and frozen. Nothing if the model asks."""
    given, table = job.recipe.question.given, job.round(number).table("given")
    if given is None:
        return {}
    if not table.is_file():
        found = match(names.sources(job.recipe.images), given)
        if found.rows:
            job.say(f"  {found.summary()}")
        tables.write(table, Asked, questions_about(images, found.sources, given))
    return by_picture(tables.read(table, Asked))


def make_all_pairs(job: Job, number: int, images: Sequence[Image]) -> list[Pair]:
    """The round's pairs, from all shards. A shard that is whole is not done again."""
    folder = job.round(number)
    if not folder.funnel.is_file():
        _make_shards(job, number, images)
        seed = derive(job.recipe.run.seed, number, "pairs")
        shards.compact(
            folder,
            len(shards.split(images, job.plan["shard"])),
            lambda pairs: controlled(thinned(pairs, job.recipe.filters.max_pairs, seed), job.recipe.pair, seed),
        )
    funnel = files.read_json(folder.funnel)
    pairs = tables.read(folder.table("pairs"), Pair)
    dropped = sum(count for reasons in funnel["dropped"].values() for count in reasons.values())
    job.say(f"  {len(pairs)} pairs of {funnel['images_with_pairs']} images; {dropped} rows and pairs dropped")
    if not pairs:
        raise SenaError(
            f"Round {number} kept no pair (why: {folder.table('drops')}): loosen the filters, or look at the prompts "
            f"with `sena check --try 4`"
        )
    return pairs


def _make_shards(job: Job, number: int, images: Sequence[Image]) -> None:
    folder, config = job.round(number), job.recipe.stages()
    parts = shards.split(images, job.plan["shard"])
    done = [shards.is_done(folder.shard(place), part) for place, part in enumerate(parts)]
    pictures = job.pictures(images)
    vlm = job.load_model(job.start_of(number))
    template = for_data(job.recipe.model.data_template, vlm.template, vlm.processor)
    demand(vlm, config.corruption.kind, config.corruption.strength)
    engine = job.engine(vlm.with_template(template))
    if config.needs_scores and "score" not in engine.offers:
        raise SenaError(
            "This recipe judges answers by their log-probabilities (samples.count, or the filter unsupported), which "
            "its engine cannot tell: use the local engine, or leave them out"
        )
    every = tuple(sorted(image.id for image in images))
    context = Context(job.recipe.run.seed, number, every, given_questions(job, number, images))
    before = sum(len(part) for part, ready in zip(parts, done, strict=True) if ready)
    if before:
        job.say(f"  {before} of {len(images)} images were done before")
    spent: dict[str, float] = {}
    with job.timed(number, "pairs", len(images) - before) as task:

        def work(place: int, part: Sequence[Image]) -> None:
            made = make_pairs(part, engine, pictures.open, config, context, job.plan["window"], spent)
            plan = {**job.plan, "batch": engine.batch, "halvings": engine.halvings}
            shards.write_shard(folder.shard(place), made, part, plan)
            task.advance(len(part))

        shards.map_inline(parts, work, done)
    for stage, seconds in spent.items():
        job.metrics.log(number, f"pairs/{stage}", {"seconds": round(seconds, 3), "count": task.done, **peak_memory()})
    if engine.why:
        job.say(f"  each prompt read its picture anew, since {engine.why}")
