"""The page of evidence: every table has its place in it, and takes it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sena.ablate.cells import Cell
from sena.ablate.table import summary
from tests.ablate.test_fired import FOUND
from tests.ablate.test_table import FOUND as CELLS
from tests.ablate.test_tune import script
from tests.architecture.source import ROOT


def page(found: dict[Cell, object], docs: Path) -> str:
    from sena.ablate.fired import fired

    (docs / "pictures").mkdir(exist_ok=True)
    shutil.copy(ROOT / "docs" / "evidence.md", docs)
    made = {
        **summary(found),
        "fixed": summary(found),
        "label_free": {},
        "settings": [],
        "alarms": dict.fromkeys(("set", "judged"), fired(FOUND)),
    }
    script("evidence").write(made, docs)
    return (docs / "evidence.md").read_text()


def test_tables_take_their_places_and_say_of_which_source_they_are(tmp_path: Path) -> None:
    text = page(CELLS, tmp_path)
    assert "All numbers are of source `s`, commit `c`." in text
    assert "| swapped | +0.210 (+0.083 to +0.337) |" in text.split("<!-- to_sena -->")[1].split("<!-- /to_sena -->")[0]
    assert "| length | 0 (+0.90 to +1.10) |" in text.split("<!-- alarms_judged -->")[1]
    assert (tmp_path / "pictures" / "evidence.png").is_file()
    assert "](pictures/evidence.png)" in text
    assert page(CELLS, tmp_path) == text
    told = json.loads((tmp_path / "evidence.json").read_text())
    assert {"seeds", "base", "recipes"} <= set(told)
    assert set(told["base"]["chair_i"]) >= {"value", "low", "high"}
    assert set(told["recipes"]["sena"]["metrics"]["chair_i"]) >= {"value", "low", "high"}


def test_what_was_not_run_is_said_to_be_so(tmp_path: Path) -> None:
    text = page(dict.fromkeys(CELLS), tmp_path)
    assert "0 of 6 runs of the table are there" in text
    assert "source `none yet`, commit `none yet`" in text
    assert text.split("<!-- base -->")[1].startswith("\nnot yet run\n")
    assert not (tmp_path / "pictures" / "evidence.png").exists()
    assert "](pictures/evidence.png)" not in text


def test_a_mark_that_is_gone_is_told() -> None:
    with pytest.raises(SystemExit, match="must hold <!-- base --> and <!-- /base --> once each"):
        script("evidence").filled("<!-- base -->", {"base": "x"})
