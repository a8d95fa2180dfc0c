"""Why a run ended before its time, kept where its user looks."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from sena import files
from sena.errors import Paused, SenaError
from sena.progress import Reporter
from sena.recipes.recipe import load_recipe
from sena.rounds.job import Job, open_job
from sena.rounds.stopping import reason, reasons_kept


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    with open_job(load_recipe("demo"), tmp_path / "run", Reporter(Console(file=io.StringIO()))) as made:
        yield made


def test_a_mistake_is_kept_logged_and_on_the_page_until_the_run_goes_on(job: Job) -> None:
    with pytest.raises(SenaError, match="no room"), reasons_kept(job):
        raise SenaError("no room on the disk: <b>make some</b>")
    assert files.read_json(job.run.stopped)["why"] == "no room on the disk: <b>make some</b>"
    assert job.run.log.read_text().endswith("Stopped: no room on the disk: <b>make some</b>\n")
    page = job.run.report.read_text()
    assert "Stopped after 0 of 3 rounds:" in page
    assert "no room on the disk: &lt;b&gt;make some&lt;/b&gt;" in page
    with reasons_kept(job):
        assert not job.run.stopped.exists()
    assert not job.run.stopped.exists()


def test_ctrl_c_is_kept_but_nobody_waits_for_a_page(job: Job) -> None:
    with pytest.raises(KeyboardInterrupt), reasons_kept(job):
        raise KeyboardInterrupt
    assert "Ctrl-C" in files.read_json(job.run.stopped)["why"]
    assert not job.run.report.exists()


def test_a_fault_of_ours_is_named_and_a_wait_is_told_as_one() -> None:
    assert reason(KeyError("x")) == "KeyError: 'x'"
    assert reason(Paused("start the server")) == "it waits: start the server"
