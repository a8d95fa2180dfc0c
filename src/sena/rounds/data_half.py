"""The data half of a round: fresh images, then pairs of them, shard by shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from sena import copies, files
from sena.data import shards
from sena.errors import SenaError
from sena.images.questions import Asked, match, questions_about
from sena.images.sample import Used, draw
from sena.images.sources import Skipped
from sena.recipes import names
from sena.records import Image, Pair
from sena.rounds import watching
from sena.rounds.job import Job
from sena.rounds.mapping import make_shards
from sena.runs import tables
from sena.runs.stored import Stored
from sena.seeds import derive
from sena.stages.control import controlled
from sena.stages.pair import thinned


def draw_images(job: Job, number: int) -> Stored[Image]:
    """The round's images, drawn once and frozen; those of earlier rounds are never drawn again."""
    folder = job.round(number)
    if folder.images.is_file():
        return Stored(folder.images, Image)
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
    return Stored(folder.images, Image)


def given_questions(job: Job, number: int, images: Sequence[Image]) -> None:
    """What people asked about the round's images, looked up once and frozen. Nothing if the model asks."""
    given, table = job.recipe.question.given, job.round(number).table("given")
    if given is not None and not table.is_file():
        found = match(names.sources(job.recipe.images), given)
        if found.rows:
            job.say(f"  {found.summary()}")
        tables.write(table, Asked, questions_about(images, found.sources, given))


def make_all_pairs(job: Job, number: int, images: Sequence[Image]) -> Stored[Pair]:
    """The round's pairs, from all shards, on the disk. A shard that is whole is not done again."""
    folder = job.round(number)
    if not folder.funnel.is_file():
        parts = shards.split(images, job.plan["shard"])
        given_questions(job, number, images)
        failed = make_shards(job, number, images, parts)
        copies.fetch(folder.path / "shards")  # what workers on other machines have put into the store
        shards.compact(
            folder,
            [place for place in range(len(parts)) if place not in failed],
            _choice(job, number),
            [shards.given_up(image.id, "shard failed") for place in sorted(failed) for image in parts[place]],
        )
    funnel = files.read_json(folder.funnel)
    pairs = Stored(folder.table("pairs"), Pair)
    dropped = sum(count for reasons in funnel["dropped"].values() for count in reasons.values())
    job.say(f"  {len(pairs)} pairs of {funnel['images_with_pairs']} images; {dropped} rows and pairs dropped")
    if not pairs:
        raise SenaError(
            f"Round {number} kept no pair ({_why(funnel['dropped'])}): look at what was said (sena show "
            f"{copies.named(job.run.path)}, and with `sena check --try 4` the texts), then change prompts or filters"
        )
    return pairs


def _why(dropped: Mapping[str, Mapping[str, int]]) -> str:
    """The commonest reasons for which rows and pairs ended: `filter: truncated x 6`."""
    counts = Counter({f"{stage}: {why}": count for stage, whys in dropped.items() for why, count in whys.items()})
    return ", ".join(f"{why} x {count}" for why, count in counts.most_common(3)) or "nothing was asked"


def _choice(job: Job, number: int) -> Callable[[list[Pair]], list[Pair]] | None:
    """Which of all pairs are learned from, and as what; None where the recipe takes them as they are."""
    filters, pair, seed = job.recipe.filters, job.recipe.pair, derive(job.recipe.run.seed, number, "pairs")
    if filters.max_pairs is None and pair.control == "none":
        return None
    return lambda pairs: controlled(thinned(pairs, filters.max_pairs, seed), pair, seed)
