"""What `sena show` prints: the run in figures, as tables, or one row's whole story. Loads no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from sena.report.read import Figure, RoundData, measured, read_rounds
from sena.report.story import story
from sena.report.words import in_order, interval, metric, number, verdict
from sena.runs.folder import RunFolder, open_run
from sena.text import printable

__all__ = ["show", "story", "summary", "tables"]

COUNTS = {"images": "images", "questions": "questions settled", "answers": "rows with all answers", "pairs": "pairs"}
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
    """Rows through the stages, a column a round, and the metrics over rounds where there are any."""
    rounds = read_rounds(run)
    begun = [each for each in rounds if each.number and each.rows]
    return [*([_funnel(begun)] if begun else []), *([_metrics(measured(rounds))] if measured(rounds) else [])]


def _funnel(rounds: list[RoundData]) -> Table:
    made = _table("Rows through the stages", "", [_heading(each) for each in rounds])
    for key, label in COUNTS.items():
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


def _metrics(rounds: list[RoundData]) -> Table:
    made = _table("Metrics (95 % interval; = : no change to the base that can be told from none)", "metric", [
        "base" if each.number == 0 else f"round {each.number}" for each in rounds
    ])  # fmt: skip
    for name in in_order(list({name: None for each in rounds for name in each.metrics})):
        arrow = " (less is better)" if metric(name).better < 0 else ""
        made.add_row(_plain(name + arrow), *(_cell(each, name) for each in rounds))
    return made


def _cell(data: RoundData, name: str) -> Text:
    """`.045 (.031 to .060) ↓`, coloured where the paired interval leaves zero out."""
    figure: Figure | None = data.metrics.get(name)
    if figure is None:
        return Text("")
    difference = data.to_base.get(name)
    found = verdict(name, difference) if data.number else "unknown"
    sign = {"same": " =", "unknown": ""}.get(found) or (" ↑" if difference and difference["value"] > 0 else " ↓")
    sign = "" if found == "unknown" else sign
    span = interval(figure, dash="-")
    return Text(f"{number(figure['value'])} ({span}){sign}", style=STYLES.get(found, ""))


def _table(title: str, first: str, columns: list[str]) -> Table:
    made = Table(title=title, title_justify="left")
    made.add_column(first)
    for column in columns:
        made.add_column(column, justify="right")
    return made


def _heading(data: RoundData) -> str:
    return f"round {data.number}" if data.complete else f"round {data.number} (at work)"


def _plain(text: str) -> Text:
    """Text that is never read as markup."""
    return Text(printable(text))
