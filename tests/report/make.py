"""A run folder made in code by the real writers, small enough to reason about: two rounds of six images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from PIL import Image as PIL
from PIL import ImageDraw

from sena import files, ids
from sena.data import shards
from sena.data.make_pairs import Tables
from sena.data.run_stage import Dropped, Said
from sena.evals import watch
from sena.evals.watch import Watched
from sena.images.sources import Skipped
from sena.records import Image, Pair, Row
from sena.report.write import Look
from sena.runs import tables
from sena.runs.folder import RunFolder, create_run

LOOK = Look((0.48, 0.46, 0.41), (0.27, 0.26, 0.28), 48)
METRICS = {
    "chair_i": (0.080, 0.045, -0.035, 0.010),
    "coverage": (0.900, 0.896, -0.004, 0.012),
    "vqa": (0.910, 0.880, -0.030, 0.015),
    "length": (14.0, 13.0, -1.0, 0.2),
}
"""Metric: base, last round, difference, half of the difference's interval."""


def picture(image_id: str) -> PIL.Image:
    """A picture that differs by image."""
    made = PIL.new("RGB", (64, 48), (230, 225, 210))
    place = int(image_id[:2], 16) % 30
    ImageDraw.Draw(made).ellipse((place, 8, place + 26, 34), fill=(200, 60, 40))
    return made


def image(round: int, number: int) -> Image:
    data = f"{round}/{number}".encode()
    return Image(ids.of_bytes(data), "photos", f"{round}/{number}.jpg", "0" * 64, 64, 48)


def row(one: Image, text: str = "") -> Row:
    """A finished row; `text` goes into everything that a model says."""
    return Row(
        id=ids.child(one.id, "question"),
        image_id=one.id,
        question=f"What is on the table?{text}",
        asked=(f"Where is the table?{text}", f"What is on the table?{text}"),
        describe_prompt="Describe the picture.",
        answer_prompt=f"What is on the table?{text}",
        description=f"A red apple lies on a table.{text}",
        answer=f"An apple.{text}",
        enhanced_description=f"A red apple lies on a table.{text}",
        enhanced_answer=f"A red apple.{text}",
        rejected_description=f"A red apple and a knife lie on a table.{text}",
        rejected_answer=f"A knife.{text}",
    )


def pairs(of: Row) -> list[Pair]:
    spoiled = {"corruption": "diffusion", "strength": 600.0, "corruption_seed": 7}
    lineage = {"row_id": of.id, "image_id": of.image_id}
    return [
        Pair(ids.child(of.id, "description"), kind="description", prompt=of.describe_prompt,
             chosen=of.enhanced_description, rejected=of.rejected_description, plain=of.description,
             **lineage, **spoiled),
        Pair(ids.child(of.id, "answer"), kind="answer", prompt=of.answer_prompt, chosen=of.enhanced_answer,
             rejected=of.rejected_answer, plain=of.answer, **lineage, **spoiled),
    ]  # fmt: skip


def shard_tables(images: list[Image], text: str = "") -> Tables:
    """The last image's row is not settled; the first one's answer pair is dropped."""
    rows = [row(each, text) for each in images]
    kept = [pair for each in rows[:-1] for pair in pairs(each)]
    gone, kept = kept[1], [kept[0], *kept[2:]]
    lost = rows[-1]
    return Tables(
        questions=rows[:-1],
        answers=rows[:-1],
        pairs=kept,
        drops=[
            Dropped(lost.id, lost.image_id, "row", "check", "not settled", f"3 tries{text}", prompt=lost.question),
            Dropped(
                gone.id, gone.image_id, gone.kind, "filter", "contained", "", gone.prompt, gone.chosen, gone.rejected
            ),
        ],
        replies=[
            Said(f"{each.id}/question/0/ask", each.image_id, "question", "Ask.", f"QUESTION: {each.asked[0]}", True, 9)
            for each in rows
        ],
    )


def make_run(path: Path, rounds: int = 2, text: str = "", evidence: bool = True) -> RunFolder:
    """A finished run. `text` is appended to all model text and to names that come from outside."""
    run = create_run(
        path, f"model: {{name: mini}} # {text}\n".replace("\x00", ""), {"created": "2026-01-02T03:04:05", "seed": 1}
    )
    for number in range(1, rounds + 1):
        make_round(run, number, text)
    tables.write(run.round(0).images, Image, [image(0, place) for place in range(3)])
    for number in range(rounds + 1):
        benchmarks = {"mini": figures(number / rounds, number > 0)} if evidence else {}
        make_watched(run, number, text)
        found = {"benchmarks": benchmarks, "watched": watched_figures(number), "alarms": []}
        files.write_json(run.round(number).evidence, {"round": number, **found})
    return run


def make_watched(run: RunFolder, number: int, text: str = "") -> None:
    """What the round's model said of the three pictures that are set aside."""
    records = [
        Watched(image(0, place).id, "q", "what is this?", f"round {number} said{text}", ("a", "a"), "no", -1, -2, -3)
        for place in range(3)
    ]
    lines = "".join(json.dumps(watch.to_json(record)) + "\n" for record in records)
    files.write_text(run.round(number).path / "eval" / "watched.jsonl", lines)


def watched_figures(number: int) -> dict:
    def figure(value: float, half: float) -> dict:
        return {"value": value, "low": value - half, "high": value + half, "n": 3.0}

    found: dict = {"metrics": {"grounding": figure(1.8 - 0.1 * number, 0.2), "duplicates": figure(0.0, 0.0)}}
    if number:
        found["to_base"] = {"grounding": figure(-0.1 * number, 0.02), "duplicates": figure(0.0, 0.0)}
    return found


def make_round(run: RunFolder, number: int, text: str = "", shards_done: int = 2) -> None:
    """One data half of two shards with three images each; with fewer shards done it is not complete."""
    folder = run.round(number)
    drawn = [replace(each, path=f"{each.path}{text}") for each in (image(number, place) for place in range(6))]
    tables.write(folder.images, Image, drawn)
    tables.write(folder.skipped, Skipped, [Skipped("photos", f"broken.jpg{text}", "truncated", f"at byte 3{text}")])
    for place in range(shards_done):
        part = drawn[3 * place : 3 * place + 3]
        shards.write_shard(folder.shard(place), shard_tables(part, text), part, {"batch": 8})
    if shards_done == 2:
        shards.compact(folder, range(2))
    with open(run.metrics, "a") as handle:
        for line in log_lines(number):
            handle.write(json.dumps(line) + "\n")


def log_lines(number: int) -> list[dict]:
    stages = [("pairs", 20.0, 4), ("train", 10.0, 6)]
    costs = [
        {"round": number, "stage": name, "step": 0, "seconds": seconds, "count": count, "peak_rss_bytes": 2_000_000_000}
        for name, seconds, count in stages
    ]
    losses = [
        {"round": number, "stage": "train", "step": step, "loss/dpo": 0.7 - 0.01 * step, "rewards/margins": 0.02 * step}
        for step in range(1, 21)
    ]
    return costs + losses


def figures(share: float, compared: bool) -> dict:
    """Figures `share` of the way from base to last round."""
    values = {name: base + share * (last - base) for name, (base, last, _, _) in METRICS.items()}
    found: dict = {
        "metrics": {
            name: {"value": value, "low": value * 0.9, "high": value * 1.1, "n": 500.0}
            for name, value in values.items()
        }
    }
    if compared:
        found["to_base"] = {
            name: {"value": share * change, "low": share * change - half, "high": share * change + half, "n": 500.0}
            for name, (_, _, change, half) in METRICS.items()
        }
    return found
