"""Several runs on one page. The runs are those of make.py, whose figures are written there."""

from __future__ import annotations

from pathlib import Path

import pytest

from sena import files
from sena.errors import SenaError
from sena.report.read import read_rounds
from sena.report.side_by_side import build, compare, differing, tell_run
from tests.hostile.test_report import HOSTILE
from tests.report.make import make_run
from tests.report.test_write import Page, words_of


def test_each_run_is_told_with_figures_costs_drops_and_alarms(tmp_path: Path) -> None:
    first, second = make_run(tmp_path / "first"), make_run(tmp_path / "second", rounds=1, evidence=False)
    alarm = {"name": "length", "text": "descriptions have 1.90 times the base's words"}
    found = files.read_json(second.round(1).evidence)
    files.write_json(second.round(1).evidence, {**found, "alarms": [alarm]})
    path = compare([first.path, second.path], tmp_path / "both.html")
    page = Page(path.read_text())
    assert not page.open
    assert not page.all("script")
    words = words_of(page)
    for text in (
        "After round 2 the model hallucinates less, but is worse at short questions.",
        "was not measured: the run has no benchmark",
        "Alarm after round 1: descriptions have 1.90 times the base's words.",
        "0.080 → 0.0450.041 to 0.050better",
        "1 min 00 s30 s",  # 30 seconds a round
        "filter: contained42",  # two a round
    ):
        assert text in words, text


def test_lines_and_cells_stand_in_the_order_of_the_runs(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, rounds=rounds) for name, rounds in (("a", 2), ("b", 1))]
    found = build([tell_run(letter, run) for letter, run in zip("AB", runs, strict=True)])
    chair = next(line for line in found["lines"] if line.label.startswith("CHAIR_i"))
    assert [cell.verdict for cell in chair.cells] == ["better", "better"]
    assert [round(cell.after["value"], 4) for cell in chair.cells if cell.after] == [0.045, 0.045]
    assert found["reasons"] == [("check: not settled", [4, 2]), ("filter: contained", [4, 2])]
    assert [line.label for line in found["watched"]] == ["grounding ↑", "duplicates ↓"]
    assert len(read_rounds(runs[0])) == 3


def test_recipes_are_compared_key_by_key() -> None:
    one, other = {"dpo.beta": "0.1", "run.seed": "0", "only": "x"}, {"dpo.beta": "0.3", "run.seed": "0"}
    assert differing([one, other]) == [("dpo.beta", ["0.1", "0.3"]), ("only", ["x", ""])]
    assert differing([one, dict(one)]) == []


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_and_texts_stay_text(tmp_path: Path, text: str) -> None:
    runs = [make_run(tmp_path / name, 1, f" {said}") for name, said in (("one", text), ("other", "x"))]
    page = Page(compare([run.path for run in runs], tmp_path / "both.html").read_text())
    assert not page.open
    assert not page.all("script")
    assert not [each for each in page.all("img") if each.get("src") == "x"]


def test_one_run_too_many_and_no_run_are_told(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", rounds=1)
    for number in (1, 9):
        with pytest.raises(SenaError, match=f"takes two to 8 runs, not {number}"):
            compare([run.path] * number, tmp_path / "x.html")
    with pytest.raises(SenaError, match="is not a run folder"):
        compare([run.path, tmp_path], tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


def test_a_page_is_written_over_and_nobodys_file(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", rounds=1)
    page = compare([run.path, run.path], tmp_path / "x.html")
    first = page.read_bytes()
    assert compare([run.path, run.path], page).read_bytes() == first
    page.write_text("my notes")
    with pytest.raises(SenaError, match="is no page of sena compare"):
        compare([run.path, run.path], page)
    assert page.read_text() == "my notes"
