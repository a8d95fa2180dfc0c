"""What stands on the page, as plain values: the template only lays them out."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sena import files
from sena.report import charts, words
from sena.report.costs import costs
from sena.report.entries import Scores
from sena.report.explorer import entries, page_data, same_pictures
from sena.report.gallery import Pictures
from sena.report.read import RoundData, measured, watch_only
from sena.runs.folder import RunFolder
from sena.runs.metrics import read_metrics

BEFORE_QUESTIONS = ("open", "question", "check")
SKIPPED = 5
WATCHED = 8


@dataclass(frozen=True, slots=True)
class Lost:
    """Rows that ended at one stage for one reason. `rows` are a few of the skipped pictures."""

    stage: str
    reason: str
    count: int
    rows: Sequence[Any] = ()


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
    imported: dict[str, str]
    rows: dict[str, Any]
    steps: list[Step]
    skipped: list[Lost]
    preferred: float | None

    @property
    def pairs(self) -> int:
        return self.rows.get("pairs", 0)


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart with its words. `svg` is markup of our own making."""

    title: str
    about: str
    verdict: str
    caption: str
    svg: str


def build(
    run: RunFolder, rounds: Sequence[RoundData], pictures: Pictures, reference: Scores, most: int
) -> dict[str, Any]:
    """Everything that the template names, with at most `most` pairs a round inside the page."""
    repeated = same_pictures(rounds, pictures, min(WATCHED, most))  # first, while there is room for their pictures
    found = [entry for each in reversed(rounds) if each.number for entry in entries(each, most, pictures, reference)]
    data = page_data(found, pictures, shlex.quote(str(run.path)))
    carried = {what: sum(entry.what == what for entry in found) for what in ("pair", "drop")}
    return {**outline(run, rounds), "repeated": repeated, "data": data, "carried": carried}


def outline(run: RunFolder, rounds: Sequence[RoundData]) -> dict[str, Any]:
    """What the page says of the run as a whole; single rows and pictures apart."""
    lines = read_metrics(run.metrics)
    preferred = {line["round"]: line["already_preferred"] for line in lines if "already_preferred" in line}
    pages = [_round(each, preferred.get(each.number)) for each in rounds if each.number]
    story, watched = words.tell(rounds), watch_only(rounds)
    return {
        "name": run.path.resolve().name,
        "command": shlex.quote(str(run.path)),
        "manifest": files.read_json(run.manifest) if run.manifest.is_file() else {},
        "recipe": run.recipe.read_text(errors="replace") if run.recipe.is_file() else "",
        "stands_by": files.read_json(run.result).get("round") if run.result.is_file() else None,
        "story": story,
        "drawings": _drawings(rounds, story),
        "table": _table(rounds),
        "measured": measured(rounds),
        "watched": _drawings(watched, words.tell(watched)),
        "watched_table": _table(watched),
        "watched_rounds": measured(watched),
        "meanings": words.ALARMS,
        "alarms": [(each.number, name, text) for each in rounds for name, text in each.alarms],
        "curves": _curves(lines),
        "costs": costs(rounds, lines),
        "rounds": pages,
        "lost": _sums([lost for page in pages for step in page.steps for lost in step.lost]),
        "skipped": _sums([lost for page in pages for lost in page.skipped]),
    }


def _round(data: RoundData, preferred: float | None) -> RoundPage:
    return RoundPage(
        data.number,
        data.complete,
        data.imported,
        data.rows,
        _steps(data),
        _grouped(data.skipped, "draw", SKIPPED),
        preferred,
    )


def _steps(data: RoundData) -> list[Step]:
    """The four stations, of which imported pairs pass two; each lost row stands below the station it did not leave."""
    rows = data.rows
    if not rows:
        return []
    early, middle, late = [], [], []
    for stage, reasons in rows["dropped"].items():
        place = early if stage in BEFORE_QUESTIONS else late if stage in ("filter", "choose") else middle
        place += [
            Lost(stage, reason, count)
            for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        ]
    titles = {
        "images": ("images drawn", early),
        "questions": ("questions settled", middle),
        "answers": ("rows with all answers", late),
        "pairs": ("pairs kept", []),
    }
    if data.imported:
        titles = {"images": ("images", early), "pairs": ("pairs", [])}
    widest = max([rows[name] for name in titles] + [1])
    return [Step(title, rows[name], 100 * rows[name] / widest, lost) for name, (title, lost) in titles.items()]


def _grouped(skipped: Sequence[Any], stage: str, sampled: int) -> list[Lost]:
    counts = Counter(item.reason for item in skipped)
    return [
        Lost(stage, reason, count, [item for item in skipped if item.reason == reason][:sampled])
        for reason, count in counts.most_common()
    ]


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
