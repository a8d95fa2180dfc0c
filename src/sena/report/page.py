"""What stands on the page, as plain values: the template only lays them out."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sena import files
from sena.report import charts, meanings, words
from sena.report.costs import costs
from sena.report.entries import Scores
from sena.report.explorer import entries, page_data, same_pictures
from sena.report.gallery import Pictures
from sena.report.read import RoundData, measured, progress, watch_only
from sena.runs.folder import RunFolder
from sena.runs.metrics import read_metrics

BEFORE_QUESTIONS = ("open", "question", "check")
OF_PAIRS = ("filter", "choose")
UP_TO_TWO = "a row becomes up to two: the descriptions and the answers of the clean and of the spoiled picture"
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
    """One station of the funnel, and what was lost on the way to the next. `share` is its bar, 0 to 100: rows and pairs
    are counted apart, since a row becomes up to two pairs. `about` says what the count is of."""

    name: str
    count: int
    share: float
    lost: list[Lost]
    about: str = ""


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
    """A chart with its words. `svg` is markup of our own making, `count` what the last figure is of."""

    title: str
    about: str
    count: str
    verdict: str
    caption: str
    svg: str


def build(
    run: RunFolder, rounds: Sequence[RoundData], pictures: Pictures, reference: Scores | None, most: int
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
    seen = words.tell(watched)
    return {
        "name": run.path.resolve().name,
        "command": shlex.quote(str(run.path)),
        "manifest": files.read_json(run.manifest) if run.manifest.is_file() else {},
        "recipe": run.recipe.read_text(errors="replace") if run.recipe.is_file() else "",
        "stands_by": files.read_json(run.result).get("round") if run.result.is_file() else None,
        "progress": progress(run, rounds),
        "story": story,
        "drawings": _drawings(rounds, story),
        "table": _table(rounds),
        "measured": measured(rounds),
        "watched": _drawings(watched, seen),
        "seen": seen.changes,
        "watched_table": _table(watched),
        "watched_rounds": measured(watched),
        "meanings": meanings.ALARMS,
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
    """The stations, of which imported pairs pass two; each lost row stands below the station it did not leave."""
    rows = data.rows
    if not rows:
        return []
    early, middle, late = _places(rows["dropped"])
    if data.imported:
        return _bars([("images", rows["images"], early)]) + _bars([("pairs", rows["pairs"], late)])
    of_rows = [
        ("images drawn", rows["images"], early),
        ("questions settled", rows["questions"], middle),
        ("rows with all answers", rows["answers"], []),
    ]
    formed = rows["pairs"] + sum(lost.count for lost in late)
    return _bars(of_rows) + _bars([("pairs formed", formed, late), ("pairs kept", rows["pairs"], [])], UP_TO_TWO)


def _places(dropped: Mapping[str, Mapping[str, int]]) -> tuple[list[Lost], list[Lost], list[Lost]]:
    """What was lost before the questions, before the answers, and as pairs; the most frequent reasons first."""
    early, middle, late = [], [], []
    for stage, reasons in dropped.items():
        place = early if stage in BEFORE_QUESTIONS else late if stage in OF_PAIRS else middle
        place += [
            Lost(stage, reason, count)
            for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        ]
    return early, middle, late


def _bars(stations: Sequence[tuple[str, int, list[Lost]]], about: str = "") -> list[Step]:
    """Stations that count the same, with bars as long as their counts; `about` stands at the first."""
    widest = max(1, *(count for _, count, _ in stations))
    return [
        Step(name, count, 100 * count / widest, lost, "" if place else about)
        for place, (name, count, lost) in enumerate(stations)
    ]


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
        caption, verdict = (change.sentence, change.verdict) if change else ("", "unknown")
        svg = charts.page_svg(charts.metric_chart(rounds, name), f"{meanings.label(name)} over rounds. {caption}")
        count = next(each.metrics[name].get("n", 0) for each in reversed(measured(rounds)) if name in each.metrics)
        found = meanings.metric(name)
        made.append(Drawing(meanings.label(name), found.about, f"n\u00a0{count:,.0f}", verdict, caption, svg))
    return made


def _table(rounds: Sequence[RoundData]) -> list[dict[str, Any]]:
    """A line a metric: its figures and its verdicts by round."""
    known = measured(rounds)
    names = meanings.in_order(list({name: None for each in known for name in each.metrics}))
    return [
        {
            "label": meanings.label(name),
            "about": meanings.metric(name).about,
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
    for key, (title, about) in charts.CURVES.items():
        chart = charts.curve_chart(steps, key)
        if chart is not None:
            svg = charts.page_svg(chart, f"{title} over optimizer steps")
            made.append(Drawing(title, f"{about} ({key})", "", "unknown", "", svg))
    return made
