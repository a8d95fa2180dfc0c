"""What a stage prints where there is a terminal and where there is none.

Clocks are set by hand: 10 of 40 images after 20 seconds are 0.5 a second, and the other 30 take a minute.
"""

from __future__ import annotations

import io
import re
import time
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from sena import progress
from sena.progress import Reporter, Task, duration, unit_of


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [time.monotonic()]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def reporter_of(path: Path, terminal: bool) -> tuple[Reporter, io.StringIO]:
    said = io.StringIO()
    return Reporter(Console(file=said, force_terminal=terminal, width=80), path / "log.txt"), said


def undated(path: Path) -> list[str]:
    lines = (path / "log.txt").read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in lines)
    return [line[20:] for line in lines]


@pytest.mark.parametrize("terminal", [False, True])
def test_a_log_gets_a_line_now_and_then_with_rate_and_time_left(
    tmp_path: Path, clock: list[float], terminal: bool
) -> None:
    reporter, said = reporter_of(tmp_path, terminal)
    with reporter.stage("pairs", 40) as task:
        task.advance(5)  # too early for a line
        clock[0] += 20
        task.advance(5, "loss 0.5")
        task.advance(0, "loss 0.4")  # told a moment ago
        clock[0] += 60
        task.advance(30)  # the end has a line of its own
    assert undated(tmp_path) == [
        "  pairs: 10 of 40 images, 0.5 a second, 1 min 00 s left, loss 0.5",
        "  pairs: 40 images in 1 min 20 s (0.5 a second)",
    ]
    if not terminal:
        assert said.getvalue().splitlines() == undated(tmp_path)


def test_the_live_line_has_stage_count_rate_time_left_and_figures(tmp_path: Path, clock: list[float]) -> None:
    """Training says how many steps there are only with the first of them."""
    reporter, said = reporter_of(tmp_path, True)
    with reporter.stage("train", 0) as task:
        clock[0] += 2
        task.total = 16
        task.advance(8, "loss 0.612 margin +0.123")
        assert reporter._bar is not None
        reporter._bar.refresh()
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.getvalue())
    line = next(line for line in re.split(r"[\r\n]", shown) if "8 of 16" in line)
    assert line.split()[0] == "train"
    assert line.rstrip().endswith("8 of 16, 4.0/s, 2.0 s left loss 0.612 margin +0.123")
    assert len(line) <= 80


def test_what_was_done_before_counts_as_reached_but_not_for_the_rate(clock: list[float]) -> None:
    task = Task("x", 100, Reporter(), before=80)
    clock[0] += 5
    task.done = 10
    assert (task.reached, round(task.rate, 2), task.left) == ("90 of 100", 2.0, "5.0 s")


def test_long_stages_are_told_of_once_a_minute(clock: list[float]) -> None:
    task = Task("x", 100, Reporter())
    told = []
    for _ in range(80):
        clock[0] += 10
        told.append(task.told_to_log())
    assert told[:30].count(True) == 15  # five minutes, every other ten seconds
    assert told[30:].count(True) == 8  # eight minutes and twenty seconds, once a minute


def test_a_table_without_a_terminal_has_no_blanks_at_its_ends(tmp_path: Path) -> None:
    reporter, said = reporter_of(tmp_path, False)
    table = Table("one", "two")
    table.add_row("a", "b" * 90)
    reporter.show_table(table)
    assert "b" * 90 in said.getvalue()  # wider than 80, since nobody cuts it
    assert not [line for line in said.getvalue().splitlines() if line.endswith(" ")]
    assert undated(tmp_path) == said.getvalue().rstrip("\n").splitlines()


def test_units_and_durations() -> None:
    assert [unit_of(name) for name in ("pairs/check", "eval pope", "watch", "other")] == [
        "images", "items", "pictures", ""
    ]  # fmt: skip
    assert [duration(seconds) for seconds in (0.5, 42, 200, 7500)] == ["0.5 s", "42 s", "3 min 20 s", "2 h 05 min"]
