"""What stands on the page, as plain values: the template only lays them out."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sena import files
from sena.report import charts, words
from sena.report.costs import costs
from sena.report.gallery import Card, Pictures, cards
from sena.report.read import RoundData, measured
from sena.runs.folder import RunFolder
from sena.runs.metrics import read_metrics
from sena.seeds import derive

BEFORE_QUESTIONS = ("open", "question", "check")
SAMPLED = 5


@dataclass(frozen=True, slots=True)
class Lost:
    """Rows that ended at one stage for one reason, and a few of them."""

    stage: str
    reason: str
    count: int
    rows: list[Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One station of the funnel, and what was lost on the way to the next. `share` is its bar, 0 to 100."""

    name: str
    count: int
    share: float
    lost: list[Lost]


@dataclass(frozen=True, slots=True)
class RoundPage:
    """One round as the page shows it. `preferred`: the share of pairs that the reference ranks right untrained."""

    number: int
    complete: bool
    rows: dict[str, Any]
    steps: list[Step]
    skipped: list[Lost]
    cards: list[Card]
    preferred: float | None


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart with its words. `svg` is markup of our own making."""

    title: str
    about: str
    verdict: str
    caption: str
    svg: str


def build(
    run: RunFolder,
    rounds: Sequence[RoundData],
    pictures: Pictures,
    reference: Mapping[str, tuple[float, float]],
    most: int,
) -> dict[str, Any]:
    """Everything that the template names, with at most `most` pairs a round and as many rows a reason as fit that."""
    lines = read_metrics(run.metrics)
    preferred = {line["round"]: line["already_preferred"] for line in lines if "already_preferred" in line}
    pages = [_round(each, pictures, reference, most, preferred.get(each.number)) for each in rounds if each.number]
    story = words.tell(rounds)
    return {
        "name": run.path.resolve().name,
        "command": shlex.quote(str(run.path)),
        "manifest": files.read_json(run.manifest) if run.manifest.is_file() else {},
        "recipe": run.recipe.read_text(errors="replace") if run.recipe.is_file() else "",
        "story": story,
        "drawings": _drawings(rounds, story),
        "table": _table(rounds),
        "measured": measured(rounds),
        "curves": _curves(lines),
        "costs": costs(rounds, lines),
        "rounds": pages,
        "lost": _sums([lost for page in pages for step in page.steps for lost in step.lost]),
        "skipped": _sums([lost for page in pages for lost in page.skipped]),
    }


def _round(
    data: RoundData,
    pictures: Pictures,
    reference: Mapping[str, tuple[float, float]],
    most: int,
    preferred: float | None,
) -> RoundPage:
    sampled = min(SAMPLED, most)
    return RoundPage(
        data.number,
        data.complete,
        data.rows,
        _steps(data, sampled),
        _grouped(data.skipped, "draw", sampled),
        cards(data, most, pictures, reference),
        preferred,
    )


def _steps(data: RoundData, sampled: int) -> list[Step]:
    """The four stations; each lost row stands below the station that it did not leave."""
    rows = data.rows
    if not rows:
        return []
    early, middle, late = [], [], []
    for stage, reasons in rows["dropped"].items():
        place = early if stage in BEFORE_QUESTIONS else late if stage == "filter" else middle
        here = [drop for drop in data.drops if drop.stage == stage]
        for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
            place.append(Lost(stage, reason, count, _pick([drop for drop in here if drop.reason == reason], sampled)))
    names = ("images", "questions", "answers", "pairs")
    widest = max([rows[name] for name in names] + [1])
    titles = ("images drawn", "questions settled", "rows with all answers", "pairs kept")
    lost = (early, middle, late, [])
    return [
        Step(title, rows[name], 100 * rows[name] / widest, gone)
        for name, title, gone in zip(names, titles, lost, strict=True)
    ]


def _grouped(skipped: Sequence[Any], stage: str, sampled: int) -> list[Lost]:
    counts = Counter(item.reason for item in skipped)
    return [
        Lost(stage, reason, count, [item for item in skipped if item.reason == reason][:sampled])
        for reason, count in counts.most_common()
    ]


def _pick(drops: list[Any], most: int) -> list[Any]:
    """A seeded few, so that the same run gives the same page."""
    return sorted(drops, key=lambda drop: derive("drops", drop.id))[:most]


def _sums(losses: Sequence[Lost]) -> list[tuple[str, str, int]]:
    """(stage, reason, count) over all rounds, the largest first."""
    counts: Counter[tuple[str, str]] = Counter()
    for lost in losses:
        counts[lost.stage, lost.reason] += lost.count
    return [(stage, reason, count) for (stage, reason), count in counts.most_common()]


def _drawings(rounds: Sequence[RoundData], story: words.Story) -> list[Drawing]:
    changes = {change.name: change for change in story.changes}
    made = []
    for name in charts.drawn_metrics(rounds):
        change = changes.get(name)
        caption = change.sentence if change else ""
        svg = charts.page_svg(charts.metric_chart(rounds, name), f"{charts.label(name)} over rounds. {caption}")
        about = words.metric(name).about
        made.append(Drawing(charts.label(name), about, change.verdict if change else "unknown", caption, svg))
    return made


def _table(rounds: Sequence[RoundData]) -> list[dict[str, Any]]:
    """A line a metric: its figures and its verdicts by round."""
    known = measured(rounds)
    names = words.in_order(list({name: None for each in known for name in each.metrics}))
    return [
        {
            "label": charts.label(name),
            "about": words.metric(name).about,
            "cells": [
                (each.metrics.get(name), words.verdict(name, each.to_base.get(name)) if each.number else "base")
                for each in known
            ],
        }
        for name in names
    ]


def _curves(lines: Sequence[dict[str, Any]]) -> list[Drawing]:
    steps = [line for line in lines if line.get("stage") == "train"]
    made = []
    for key, title in charts.CURVES.items():
        chart = charts.curve_chart(steps, key)
        if chart is not None:
            made.append(Drawing(title, key, "unknown", "", charts.page_svg(chart, f"{title} over optimizer steps")))
    return made
