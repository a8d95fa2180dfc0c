"""`sena check --try`: what came of a few pictures, the dropped ones with what was said."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from sena.cli.main import run_program


def test_dropped_rows_and_pairs_are_shown_with_their_texts(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the miniature's first three pictures each text is the same on the spoiled one."""
    assert run_program(["check", "demo", "--try", "3", "--set", "corruption.kind=none"]) == 0
    said = capsys.readouterr().out
    lines = said.splitlines()
    places = [number for number, line in enumerate(lines) if "filter: identical" in line]
    assert len(places) == 6
    for place in places:
        chosen, rejected = lines[place + 1], lines[place + 2]
        assert chosen.startswith("  chosen    ")
        assert chosen.split()[1:] == rejected.split()[1:]
    assert "900 images take" in said
    assert lines[-1].startswith("No fault found, but no pair was kept")


def test_a_model_that_asks_no_question_is_heard(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (28, 28)).save(tmp_path / "a.png")
    of_one = ["--set", "run.rounds=1", "--limit", "1", "--try", "1", "--set", "question.max_new_tokens=8"]
    assert run_program(["check", "--model", str(tiny_folder), "--images", str(tmp_path), *of_one]) == 0
    lines = capsys.readouterr().out.splitlines()
    [place] = [number for number, line in enumerate(lines) if line.endswith("row, question: no question")]
    assert lines[place + 1].startswith("  said      ")
    assert len(lines[place + 1]) > len("  said      ")
