"""What `sena show` prints: the run in figures, as tables, or one row's whole story. Loads no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from sena.report.meanings import ARROWS, LEGEND, in_order, metric
from sena.report.read import Figure, RoundData, measured, progress, read_rounds, watch_only
from sena.report.story import story
from sena.report.words import interval, number, verdict
from sena.runs.folder import RunFolder, open_run
from sena.text import printable

__all__ = ["notes", "show", "story", "summary", "tables"]

COUNTS = {"images": "images", "questions": "questions settled", "answers": "rows with all answers", "pairs": "pairs"}
MADE_HERE = ("questions", "answers")
STYLES = {"better": "green", "worse": "red", "changed": "yellow"}


def show(run: str | Path) -> dict[str, Any]:
    """What a run did, as `sena show --json` prints it (see `summary`)."""
    return summary(open_run(Path(run).expanduser()))


def summary(run: RunFolder) -> dict[str, Any]:
    """`{"rounds": [{"round", "metrics": {name: {value, low, high, n}}, "rows": {...}}, ...]}`, round 0 = the base.

    `rows` is the funnel, empty for round 0; of a round still at work, it counts the shards that are whole.
    """
    return {
        "rounds": [
            {"round": each.number, "metrics": each.metrics, "rows": each.rows if each.number else {}}
            for each in read_rounds(run)
        ]
    }


def tables(run: RunFolder) -> list[Table]:
    """Rows through the stages, a column a round, then metrics and scores without labels where there are any."""
    rounds = read_rounds(run)
    begun = [each for each in rounds if each.number and each.rows]
    made = [_funnel(begun)] if begun else []
    if measured(rounds):
        made.append(_metrics("Metrics", measured(rounds)))
    if measured(watch_only(rounds)):
        made.append(_metrics("Without labels, on pictures set aside", measured(watch_only(rounds))))
    return made


def notes(run: RunFolder) -> list[Text]:
    """Sentences that belong to the tables: why the run stopped, alarms, and where pairs come from that the run did not
    make itself."""
    rounds = read_rounds(run)
    known = progress(run, rounds)
    wanted = f" of {known.wanted}" if known.wanted else ""
    stopped = [Text(printable(f"Stopped after {known.done}{wanted} rounds: {known.why}"), "bold red")]
    alarms = [
        Text(printable(f"Alarm after round {each.number}: {text}"), "bold red")
        for each in rounds
        for _, text in each.alarms
    ]
    files = [
        _plain(f"The pairs of round {each.number} come from {each.imported['file']} ({each.imported['layout']}).")
        for each in rounds
        if each.imported
    ]
    return [*(stopped if known.why else []), *alarms, *files]


def _funnel(rounds: list[RoundData]) -> Table:
    made = _table("Rows through the stages", "", [_heading(each) for each in rounds])
    for key, label in COUNTS.items():
        if key not in MADE_HERE or not all(each.imported for each in rounds):
            made.add_row(label, *(str(each.rows[key]) for each in rounds))
    reasons = sorted({(stage, why) for each in rounds for stage, all in each.rows["dropped"].items() for why in all})
    if reasons:
        made.add_section()
    for stage, why in reasons:
        counts = [each.rows["dropped"].get(stage, {}).get(why, 0) for each in rounds]
        made.add_row(_plain(f"dropped by {stage}: {why}"), *(str(count) if count else "" for count in counts))
    skipped = [len(each.skipped) for each in rounds]
    if any(skipped):
        made.add_row("images skipped when drawing", *map(str, skipped))
    return made


def _metrics(title: str, rounds: list[RoundData]) -> Table:
    """A line a metric: its value each round, and what became of it from the base to the last round."""
    last = rounds[-1]
    is_judged = last.number > 0 and bool(last.to_base)
    columns = ["base" if each.number == 0 else f"round {each.number}" for each in rounds]
    change = ["change, 95 % interval"] if is_judged else []
    made = _table(f"{title} ({LEGEND})", "metric", [*columns, *change])
    for name in in_order(list({name: None for each in rounds for name in each.metrics})):
        cells = [_cell(each, name) for each in rounds]
        made.add_row(_plain(name + ARROWS[metric(name).better]), *cells, *([_change(last, name)] if is_judged else []))
    return made


def _cell(data: RoundData, name: str) -> Text:
    """The value, coloured where the paired interval to the base leaves zero out."""
    figure: Figure | None = data.metrics.get(name)
    if figure is None:
        return Text("")
    found = verdict(name, data.to_base.get(name)) if data.number else "unknown"
    return Text(number(figure["value"]), style=STYLES.get(found, ""))


def _change(data: RoundData, name: str) -> Text:
    """`better, -0.045 to -0.025`, or `=` and the interval where it holds zero."""
    difference = data.to_base.get(name)
    if difference is None:
        return Text("")
    found = verdict(name, difference)
    sign = "=" if found == "same" else f"{found},"
    return Text(f"{sign} {interval(difference, signed=True)}", style=STYLES.get(found, ""))


def _table(title: str, first: str, columns: list[str]) -> Table:
    made = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0), show_edge=False)
    made.add_column(first)
    for column in columns:
        made.add_column(column, justify="right")
    return made


def _heading(data: RoundData) -> str:
    return f"round {data.number}" if data.complete else f"round {data.number} (at work)"


def _plain(text: str) -> Text:
    """Text that is never read as markup."""
    return Text(printable(text))
