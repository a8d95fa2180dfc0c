"""docs/tutorial.md is done as it stands, command by command, at a smaller scale."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from sena.cli.main import run_program
from sena.records import Pair
from sena.runs import tables
from tests.docs.page import DOCS, commands

PAGE = DOCS / "tutorial.md"
SMALL = ["--rounds", "1", "--limit", "32", "--set", "eval.count=8", "--set", "eval.watch=0"]
SMALLER = {
    "sena evolve demo --out runs/demo": SMALL,
    "sena evolve mine.yaml --set corruption.kind=blur --rounds 1 --out runs/blur": SMALL[2:],
    "sena eval runs/demo --against mini --out runs/measured": ["--limit", "8"],
}
"""What is typed behind a command of the page to make it cheap."""


@pytest.mark.slow
def test_every_command_does_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    printed: dict[str, str] = {}
    for step in steps():
        if not step.startswith("sena "):
            exec(compile(step, str(PAGE), "exec"), {})
            continue
        typed = step.replace("ROW", some_row()) if "ROW" in step else step
        assert run_program([*shlex.split(typed)[1:], *SMALLER.get(step, [])]) == 0, step
        printed[step] = capsys.readouterr().out
    assert SMALLER.keys() <= printed.keys()
    assert "No fault found" in printed["sena check demo"]
    assert "identical" in printed["sena show runs/taste"]
    assert "chair_i" in printed["sena evolve demo --out runs/demo"]
    assert "coverage" in printed["sena show runs/demo"]
    assert "rejected" in printed["sena show runs/demo --id ROW"]
    assert "report.html" in printed["sena report runs/demo"]
    assert (tmp_path / "runs" / "trained" / "round-1" / "model" / "config.json").is_file()


def steps() -> list[str]:
    """Commands and Python blocks of the page, in its order."""
    found: list[str] = []
    for language, text in re.findall(r"^```(sh|python)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        found += commands(text) if language == "sh" else [text]
    return found


def some_row() -> str:
    return tables.read(Path("runs/demo/round-1/pairs.parquet"), Pair)[0].row_id
