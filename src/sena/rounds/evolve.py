"""The whole loop: images -> questions -> answers -> pairs -> policy -> evidence -> the next round."""

from __future__ import annotations

from pathlib import Path

from sena import copies, files
from sena.progress import Reporter
from sena.recipes.recipe import Recipe
from sena.rounds import data_half, evidence, training_half
from sena.rounds.card import write_card
from sena.rounds.job import Job, open_job
from sena.rounds.retell import tell
from sena.rounds.stopping import reasons_kept
from sena.runs.folder import at_work


def evolve(recipe: Recipe, out: str | Path, reporter: Reporter | None = None) -> Path:
    """Run `recipe` into the run folder `out`, or go on where that folder's run stopped. Returns the run folder,
    of an address in an object store (`s3://bucket/runs/mine`) the copy here.

    Raises SenaError, in one sentence, for everything that the user can mend; what was done by then is kept.
    """
    training_half.demand_trainable(recipe, out)
    with at_work(out) as out, open_job(recipe, out, reporter) as job:
        if job.is_finished():
            job.say_finished()
            return out
        with reasons_kept(job):
            _rounds(job, recipe)
        job.say_end()
    return out


def _rounds(job: Job, recipe: Recipe) -> None:
    """From images to evidence, round after round."""
    evidence.judge(job, 0)
    for number in range(1, recipe.run.rounds + 1):
        job.say_round(number)
        images = data_half.draw_images(job, number)
        pairs = list(data_half.make_all_pairs(job, number, images))
        reference = training_half.score_reference(job, number, pairs)
        training_half.train_policy(job, number, pairs, reference)
        evidence.judge(job, number)
        write_card(job.run, job.recipe, number)
        files.write_json(job.run.result, {"round": job.start_of(number + 1)})
        tell(job.run, job.recipe)
        if job.stops_after(number):
            break


def pairs(recipe: Recipe, out: str | Path, reporter: Reporter | None = None) -> Path:
    """The data half of the first round alone: images in, pairs out. `evolve` with the same recipe goes on from it."""
    with at_work(out) as out, open_job(recipe, out, reporter) as job:
        with reasons_kept(job):
            job.say_round(1)
            made = data_half.make_all_pairs(job, 1, data_half.draw_images(job, 1))
        tell(job.run, job.recipe)
        job.say(
            f"{len(made)} pairs are in {copies.named(job.run.round(1).table('pairs'))}. To train on them: "
            f"sena evolve --out {copies.named(out)}"
        )
    return out
