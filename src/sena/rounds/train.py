"""Training on a file of pairs alone: what `sena train` does. One round whose data half is the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sena import copies, files
from sena.data import funnel, shards
from sena.errors import RunFolderError
from sena.formats.read import Imported, file_of, read_pairs, source_config
from sena.images.sources import Skipped
from sena.progress import Reporter
from sena.recipes import load as recipes
from sena.recipes.recipe import Recipe
from sena.records import Image, Pair
from sena.rounds import evidence, training_half
from sena.rounds.card import write_card
from sena.rounds.job import Job, open_job
from sena.rounds.retell import tell
from sena.rounds.stopping import reasons_kept
from sena.runs import tables
from sena.runs.folder import RoundFolder, RunFolder, at_work


def train(
    pairs: str | Path,
    out: str | Path,
    *,
    images: str | Path | None = None,
    model: str | None = None,
    settings: Sequence[str] = (),
    reporter: Reporter | None = None,
) -> Path:
    """Train `model` on the pairs of a file, or go on where the run in `out` stopped. Returns the run folder.

    The file is what `sena export` writes, or a pair file of the released code; `images` is the folder that its picture
    paths start from. Settings are those of the recipe `sena`, of which only model, training and evaluation matter.
    Raises SenaError, in one sentence, for everything that the user can mend; what was done by then is kept.
    """
    file, reporter = file_of(Path(pairs)), reporter or Reporter()
    recipe = make_recipe(file, images, model, settings)
    training_half.demand_trainable(recipe, out)
    taken = copies.fetch(_taken(RunFolder(copies.place(out)).round(1)))
    found = None if taken.is_file() else _read(file, images, recipe, reporter)
    with at_work(out) as out, open_job(recipe, out, reporter) as job:
        learned = _take_in(job, file, found)
        if job.is_finished():
            job.say_finished()
            return out
        with reasons_kept(job):
            evidence.judge(job, 0)
            reference = training_half.score_reference(job, 1, learned)
            training_half.train_policy(job, 1, learned, reference)
            evidence.judge(job, 1)
            write_card(job.run, job.recipe, 1)
        tell(job.run, job.recipe)
        job.say_end()
    return out


def make_recipe(file: Path, images: str | Path | None, model: str | None, settings: Sequence[str]) -> Recipe:
    """The recipe `sena` for one round whose pictures are the file's. Raises RecipeError with all faults."""
    source = source_config(file, None if images is None else Path(images))
    flags = [
        recipes.Override("images.sources", [source.model_dump(exclude_defaults=True)], f"--pairs {file}"),
        recipes.Override("run.rounds", 1, f"--pairs {file}"),
    ]
    if model is not None:
        flags.append(recipes.Override("model.name", model, f"--model {model}"))
    return recipes.load(Recipe, "sena", [*settings, *flags])[0]


def _taken(folder: RoundFolder) -> Path:
    """What the round's pairs were read from: written when all its tables are."""
    return folder.path / "imported.json"


def _read(file: Path, images: str | Path | None, recipe: Recipe, reporter: Reporter) -> Imported:
    reporter.say(f"Reading {file}")
    found = read_pairs(file, None if images is None else Path(images), recipe.images.limits)
    reporter.say(f"  {len(found.pairs)} pairs of {len(found.images)} pictures, in the layout of {found.layout}")
    return found


def _take_in(job: Job, file: Path, found: Imported | None) -> list[Pair]:
    """The round's pairs, which are those of the file. Raises RunFolderError when they came from another file."""
    folder, sha256 = job.round(1), files.sha256(file)
    if found is not None:
        _write(folder, found)
        files.write_json(_taken(folder), {"file": file.name, "sha256": sha256, "layout": found.layout})
    if files.read_json(_taken(folder))["sha256"] != sha256:
        raise RunFolderError(f"The run in {job.run.path} was not begun from this {file.name}: choose another --out")
    return tables.read(folder.table("pairs"), Pair)


def _write(folder: RoundFolder, found: Imported) -> None:
    """The tables that a data half would leave, so that all that reads a round reads this one too."""
    rows = {**{name: [] for name in shards.KINDS}, "pairs": sorted(found.pairs, key=lambda pair: pair.id)}
    for name, kind in shards.KINDS.items():
        tables.write(folder.table(name), kind, rows[name])
    files.write_json(folder.funnel, funnel.count_rows(len(found.images), rows))
    tables.write(folder.skipped, Skipped, [])
    tables.write(folder.images, Image, found.images)
