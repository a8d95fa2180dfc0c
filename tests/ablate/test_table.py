"""Cells and their sums, worked by hand, and what becomes of cells of another source."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from sena.ablate import ablate, cells
from sena.ablate.cells import Cell, keep, key_of, result, source_hash
from sena.ablate.overlay import in_miniature
from sena.ablate.picture import draw
from sena.ablate.run import make_cells
from sena.ablate.table import markdown, summary
from sena.cli.main import run_program
from sena.errors import RunFolderError, SenaError
from sena.mini import mini_folder
from sena.runs.folder import locked
from sena.stats import over_runs

BASE = str(mini_folder())


def figure(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 10.0}


def made(before: float, after: float, alarms: list[dict[str, str]] = []) -> dict[str, Any]:  # noqa: B006 - read only
    """A run of one round in which CHAIR_i went from `before` to `after`."""

    def round_of(value: float, pairs: int, told: list[dict[str, str]]) -> dict[str, Any]:
        return {
            "metrics": {"chair_i": figure(value)},
            "to_base": {"chair_i": figure(value - before)},
            "watched": {"metrics": {"grounding": figure(1.0)}},
            "alarms": told,
            "pairs": pairs,
        }

    return {"key": {"source": "s"}, "commit": "c", "rounds": [round_of(before, 0, []), round_of(after, 7, alarms)]}


def cell(recipe: str, seed: int) -> Cell:
    return Cell(recipe, "1", BASE, seed)


FOUND: dict[Cell, dict[str, Any] | None] = {
    cell("sena", 0): made(0.10, 0.02),
    cell("sena", 1): made(0.12, 0.03),
    cell("swapped", 0): made(0.10, 0.22, [{"name": "skill", "text": "it fell"}]),
    cell("swapped", 1): made(0.12, 0.25),
    cell("stic", 0): None,
    cell("stic", 1): {"key": {"source": "s"}, "commit": "c", "failed": "kept no pair"},
}


def test_student_by_hand() -> None:
    """Differences -.08 and -.09: mean -.085, deviation .00707, half width 12.706 * .00707 / sqrt 2 = .06353."""
    found = over_runs([-0.08, -0.09])
    assert found["value"] == pytest.approx(-0.085)
    assert found["high"] - found["value"] == pytest.approx(12.706 * math.sqrt(0.5) * 0.01 / math.sqrt(2), rel=1e-6)
    assert over_runs([1.0])["low"] == over_runs([1.0])["high"] == 1.0
    many = over_runs([0.0, 1.0] * 20)
    assert many["high"] - many["value"] == pytest.approx(2.0227 * 0.50637 / math.sqrt(40), rel=2e-3)  # scipy's t, 39


def test_the_table_by_hand() -> None:
    found = summary(FOUND)
    assert (found["seeds"], found["bases"], found["source"]) == ([0, 1], ["1"], ["s"])
    assert found["base"]["chair_i"]["value"] == pytest.approx(0.11)
    sena, swapped, stic = (found["recipes"][name] for name in ("sena", "swapped", "stic"))
    assert (sena["runs"], sena["metrics"]["chair_i"]["value"]) == (2, pytest.approx(0.025))
    assert sena["to_base"]["chair_i"]["value"] == pytest.approx(-0.085)
    assert swapped["to_sena"]["chair_i"]["value"] == pytest.approx(0.21)
    assert (swapped["alarms"], swapped["pairs"]["value"]) == (["skill"], 7)
    assert (stic["runs"], stic["of"], stic["failed"], stic["metrics"]) == (0, 2, ["kept no pair"], {})
    page = markdown(found)
    assert "| stic | | | | | | | | | failed: kept no pair |" in page
    assert "| stic | | | | | | | | | not yet run |" in markdown(summary({**FOUND, cell("stic", 1): None}))
    assert "-0.085 (-0.149 to -0.021)" in page


def test_a_picture_of_it(tmp_path: Path) -> None:
    draw(summary(FOUND), tmp_path / "table.png")
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")


def test_a_cell_counts_only_with_its_own_recipe_base_and_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = cell("sena", 0)
    key = key_of(one, in_miniature("sena", BASE, 0))
    assert result(one, key, tmp_path) is None
    keep(one, key, tmp_path, made(0.1, 0.0))
    assert result(one, key, tmp_path) is not None
    assert key_of(one, in_miniature("sena", BASE, 1)) != key
    monkeypatch.setattr(cells, "source_hash", lambda: "other")
    assert result(one, key_of(one, in_miniature("sena", BASE, 0)), tmp_path) is None


def test_the_source_hash_sees_every_file(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    first = source_hash(tmp_path)
    (tmp_path / "b.yaml").write_text("x: 1\n")
    second = source_hash(tmp_path)
    (tmp_path / "b.yaml").rename(tmp_path / "c.yaml")
    (tmp_path / "notes.txt").write_text("nothing")
    assert len({first, second, source_hash(tmp_path)}) == 3


def test_cells_come_seed_by_seed_and_sena_is_always_there(tmp_path: Path) -> None:
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "model.safetensors").touch()
    (tmp_path / "3").mkdir()  # not whole yet
    made_ = make_cells(["no-check"], [0, 1], tmp_path)
    assert [(each.recipe, each.base, each.seed) for each in made_] == [
        (recipe, base, seed) for seed in (0, 1) for base in ("1", "2") for recipe in ("sena", "no-check")
    ]


def test_what_is_there_is_not_run_again(tmp_path: Path) -> None:
    for each in make_cells(["no-check"], [0], tmp_path / "none"):
        keep(each, key_of(each, in_miniature(each.recipe, each.model, each.seed)), tmp_path, made(0.1, 0.0))
    found = ablate(["no-check"], tmp_path, [0], tmp_path / "none")
    assert {name: recipe["runs"] for name, recipe in found["recipes"].items()} == {"sena": 1, "no-check": 1}
    assert (tmp_path / "evidence.json").is_file()


def test_two_commands_do_not_fill_one_table_at_once(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(RunFolderError, match="in use by process"):
        ablate(["no-check"], tmp_path, [0], tmp_path / "none")


def test_a_recipe_that_does_not_exist_is_told_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(SenaError, match="There is no recipe 'no-such'"):
        ablate(["no-such"], tmp_path, [0], tmp_path)


@pytest.mark.slow
def test_two_recipes_by_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["run.images_per_round=16", "run.rounds=1", "eval.count=8", "eval.watch=0", "train.pairs_per_step=8"]
    settings = [word for setting in small for word in ("--set", setting)]
    command = ["ablate", "swapped", "--seeds", "1", "--bases", str(tmp_path), "--out", str(tmp_path / "out"), *settings]
    assert run_program(command) == 0
    assert "swapped" in capsys.readouterr().out
    assert (tmp_path / "out" / "ablate.png").is_file()
    assert not list((tmp_path / "out" / "runs").glob("*"))
    assert run_program(command) == 0
    assert "2 of 2 cells are there, 0 are to be run" in capsys.readouterr().err
