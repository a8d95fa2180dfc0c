"""Several runs on one page: what `sena compare` writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sena import files
from sena.errors import SenaError
from sena.report import charts, meanings, words
from sena.report.costs import Costs, costs
from sena.report.read import Figure, Progress, RoundData, measured, progress, read_rounds, recipe_values, watch_only
from sena.report.write import render
from sena.runs.folder import RunFolder, open_run
from sena.runs.metrics import read_metrics

LETTERS = "ABCDEFGH"
TEMPLATE = "compare.html.jinja"
MARK = "runs compared · sena</title>"
"""What tells a page of ours, which is written over, from somebody's file."""
HEAD = 2000


@dataclass(frozen=True, slots=True)
class Told:
    """One run as the page tells it. `letter` is its short name in charts and tables; `reasons` are its drops."""

    letter: str
    run: RunFolder
    rounds: list[RoundData]
    story: words.Story
    progress: Progress
    costs: Costs
    alarms: list[tuple[int, str]]
    reasons: dict[str, int]

    @property
    def name(self) -> str:
        return self.run.path.resolve().name

    @property
    def pairs(self) -> int:
        return sum(each.rows.get("pairs", 0) for each in self.rounds if each.number)


@dataclass(frozen=True, slots=True)
class Cell:
    """A metric of one run: before and after, and whether its own paired interval tells them apart."""

    before: Figure | None
    after: Figure | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Line:
    """A metric across runs. `svg` is a chart of our own making."""

    label: str
    about: str
    cells: list[Cell]
    svg: str


def compare(runs: Sequence[str | Path], out: str | Path = "compare.html") -> Path:
    """Write one page about several runs. Raises SenaError for fewer than two, more than eight, what is no run, and
    an `out` that is somebody's file."""
    if not 2 <= len(runs) <= len(LETTERS):
        raise SenaError(f"sena compare takes two to {len(LETTERS)} runs, not {len(runs)}")
    told = [tell_run(letter, open_run(Path(run).expanduser())) for letter, run in zip(LETTERS, runs, strict=False)]
    out = Path(out).expanduser()
    if out.is_file() and MARK not in out.read_text(errors="replace")[:HEAD]:
        raise SenaError(f"{out} is there and is no page of sena compare: give another --out")
    files.write_text(out, render(build(told), TEMPLATE))
    return out


def build(told: Sequence[Told]) -> dict[str, Any]:
    """What the template names."""
    return {
        "runs": told,
        "lines": _lines(told, [each.rounds for each in told]),
        "watched": _lines(told, [watch_only(each.rounds) for each in told]),
        "reasons": _reasons(told),
        "settings": differing([_settings(each.run) for each in told]),
    }


def tell_run(letter: str, run: RunFolder) -> Told:
    """What the page says of one run."""
    rounds = read_rounds(run)
    reasons: dict[str, int] = {}
    for each in rounds:
        for stage, counts in each.rows.get("dropped", {}).items() if each.number else ():
            for reason, count in counts.items():
                reasons[f"{stage}: {reason}"] = reasons.get(f"{stage}: {reason}", 0) + count
    alarms = [(each.number, text) for each in rounds for _, text in each.alarms]
    spent = costs(rounds, read_metrics(run.metrics))
    return Told(letter, run, rounds, words.tell(rounds), progress(run, rounds), spent, alarms, reasons)


def _lines(told: Sequence[Told], rounds: Sequence[Sequence[RoundData]]) -> list[Line]:
    """Every metric that a run has, in the usual order."""
    found = {name: None for each in rounds for data in measured(each) for name in data.metrics}
    return [_line(told, rounds, name) for name in meanings.in_order(list(found))]


def _line(told: Sequence[Told], rounds: Sequence[Sequence[RoundData]], name: str) -> Line:
    points = {
        run.letter: [(data.number, data.metrics[name]) for data in measured(each) if name in data.metrics]
        for run, each in zip(told, rounds, strict=True)
    }
    label, about = meanings.label(name), meanings.metric(name).about
    svg = charts.page_svg(charts.runs_chart(points), f"{label} over rounds, a line a run")
    return Line(label, about, [_cell(measured(each), name) for each in rounds], svg)


def _cell(known: Sequence[RoundData], name: str) -> Cell:
    """From the base, if it was measured, to the last measured round."""
    base = known[0] if known and known[0].number == 0 else None
    last = known[-1] if known and known[-1].number else None
    verdict = words.verdict(name, last.to_base.get(name)) if last else "unknown"
    return Cell(base.metrics.get(name) if base else None, last.metrics.get(name) if last else None, verdict)


def _reasons(told: Sequence[Told]) -> list[tuple[str, list[int]]]:
    """Counts by run of every reason for a drop, the most frequent first."""
    names = {reason for each in told for reason in each.reasons}
    counts = {name: [each.reasons.get(name, 0) for each in told] for name in names}
    return sorted(counts.items(), key=lambda item: (-sum(item[1]), item[0]))


def differing(recipes: Sequence[Mapping[str, str]]) -> list[tuple[str, list[str]]]:
    """Keys whose values are not the same in all recipes, with the values in the runs' order; "" where it is unset."""
    keys = sorted({key for each in recipes for key in each})
    rows = [(key, [each.get(key, "") for each in recipes]) for key in keys]
    return [(key, values) for key, values in rows if len(set(values)) > 1]


def _settings(run: RunFolder) -> dict[str, str]:
    """The recipe's values by dotted key, as YAML would write them. A recipe that cannot be read has none."""
    return dict(_flat(recipe_values(run), ""))


def _flat(value: Any, prefix: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, "null" if value is None else str(value)
