"""Watches every round's model without labels, on pictures that no round learns from, and says what gives alarm."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sena import files
from sena.evals import watch
from sena.evals.alarms import Alarm, Training, alarms
from sena.evals.watch import Prompts, Watched
from sena.images.sample import Drawn, draw
from sena.images.sources import Skipped
from sena.records import Image
from sena.report.meanings import metric
from sena.rounds.job import Job
from sena.runs import tables
from sena.seeds import derive
from sena.stats import Figure
from sena.text import join


def set_aside(job: Job) -> list[Image]:
    """The watched pictures, drawn once and kept from the rounds; none where the sources have few to spare."""
    path = job.round(0).images
    if path.is_file():
        return tables.read(path, Image)
    run, count = job.recipe.run, job.recipe.eval.watch
    listed = sum(len(source.list()) for source in job.sources)
    spare = listed - run.rounds * run.images_per_round
    if count and spare < 2 * count:
        job.say(f"  none of the {listed} pictures is set aside to watch the model on, since the rounds need them")
        count = 0
    drawn = Drawn(())
    if count:
        drawn = draw(job.sources, count, derive(run.seed, "watch"), 0, limits=job.recipe.images.limits)
        job.say(f"  set aside to watch the model on, without labels: {drawn.summary()}")
    tables.write(job.round(0).skipped, Skipped, drawn.skipped)
    tables.write(path, Image, drawn.images)
    return list(drawn.images)


def watched(job: Job, number: int) -> dict[str, Any]:
    """The round's scores without labels (`metrics`), and against the base (`to_base`); empty without pictures."""
    images = set_aside(job)
    if not images:
        return {}
    records = _records(job, number, images)
    figures: dict[str, Any] = {"metrics": watch.summarise(records)}
    if number:
        figures["to_base"] = watch.compare(_records(job, 0, images), records)
    job.metrics.log(number, "watch", {name: each["value"] for name, each in figures["metrics"].items()})
    return figures


def _records(job: Job, number: int, images: list[Image]) -> list[Watched]:
    path = job.round(number).path / "eval" / "watched.jsonl"
    if not path.is_file():
        asked = {each.image: each.question for each in _records(job, 0, images)} if number else {}
        engine, names = job.engine(job.load_model(number)), [image.id for image in images]
        with job.timed(number, "watch", len(images)) as task:
            made = watch.watch(engine, names, job.pictures(images).open, _prompts(job), asked, job.recipe.run.seed)
            task.advance(len(made))
        files.write_text(path, "".join(json.dumps(watch.to_json(record)) + "\n" for record in made))
    return [watch.from_json(json.loads(line)) for line in path.read_text().splitlines()]


def _prompts(job: Job) -> Prompts:
    recipe = job.recipe
    return Prompts(
        recipe.question.prompts[0],
        tuple(join(prompt, recipe.describe.suffix) for prompt in recipe.describe.prompts),
        recipe.answer.suffix,
        recipe.question.max_new_tokens,
        recipe.describe.max_new_tokens,
        recipe.answer.max_new_tokens,
    )


def found_alarms(job: Job, number: int, evidence: dict[str, Any]) -> list[dict[str, str]]:
    """What speaks against the round's model, from its evidence, the base's, and the metrics of its training."""
    base = files.read_json(job.round(0).evidence).get("watched", {}).get("metrics", {})
    seen, learned = evidence.get("watched", {}), training(job.run.metrics, number, job.recipe.dpo.beta)
    changes = [bench.get("to_base", {}) for bench in evidence["benchmarks"].values()]
    found = alarms(seen.get("metrics", {}), base, seen.get("to_base", {}), learned, skills(changes))
    return [asdict(alarm) for alarm in _once(found)]


def _once(found: list[Alarm]) -> list[Alarm]:
    """Of several metrics that fell one alarm is enough: the first, with the others' number."""
    skills = [alarm for alarm in found if alarm.name == "skill"]
    rest = [alarm for alarm in found if alarm.name != "skill"]
    if len(skills) < 2:
        return found
    return [*rest, Alarm("skill", f"{skills[0].text}, and {len(skills) - 1} other metrics got worse")]


def skills(changes: Iterable[Mapping[str, Figure]]) -> dict[str, Figure]:
    """Paired differences of all metrics with a good direction, turned so that more is better."""
    found: dict[str, Figure] = {}
    for change in changes:
        for name, figure in change.items():
            good = metric(name).better
            if good:
                ends = sorted((good * figure["low"], good * figure["high"]))
                found[name] = {"value": good * figure["value"], "low": ends[0], "high": ends[1]}
    return found


def training(metrics: Path, number: int, beta: float) -> Training | None:
    """The last quarter of the round's optimizer steps, from metrics.jsonl. The first step is left out: it is measured
    before any update, where every reward is 0. None for a round of fewer steps."""
    steps: dict[int, dict[str, float]] = {}
    for line in metrics.read_text().splitlines():
        entry = json.loads(line)
        if entry["round"] == number and entry["stage"] == "train" and "rewards/margins" in entry:
            steps[entry["step"]] = entry  # a step that was repeated after a kill counts once
    steps.pop(0, None)
    last = [steps[step] for step in sorted(steps)][-max(1, len(steps) // 4) :]
    if not last:
        return None

    def mean(name: str) -> float:
        return sum(step[name] for step in last) / len(last)

    return Training(mean("rewards/margins") / beta, mean("rewards/chosen") / beta, mean("rewards/accuracies"))
