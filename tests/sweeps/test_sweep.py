"""A sweep of the miniature by the command line: its table and picture, and that a second call goes on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from PIL import Image as PIL
from rich.console import Console
from skimage import data

from sena.cli.main import run_program
from sena.images.kinds import KINDS, fault
from sena.records import Image
from sena.runs import tables
from sena.sweeps import table
from sena.sweeps.asking import Clean, Spoiled

MINI = ["sweep", "demo", "--model", "mini", "--images", "mini", "--set", "engine.window=2", "--set", "engine.threads=1"]


def call(out: Path, *more: str) -> int:
    return run_program([*MINI, "--limit", "3", "--out", str(out), *more])


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep") / "made"
    assert call(folder, "--kinds", "none,mask,no_image,other_image") == 0
    return folder


def cell(out: Path, name: str) -> list[Spoiled]:
    return [
        each for part in sorted((out / "parts").iterdir()) for each in tables.read(part / f"{name}.parquet", Spoiled)
    ]


def test_figures_and_picture_are_there(out: Path) -> None:
    found = json.loads((out / "sweep.json").read_text())
    tried = {(each["kind"], each["strength"]) for each in found["cells"]}
    assert tried == {
        (kind, each) for kind in ("none", "mask", "no_image", "other_image") for each in KINDS[kind].ladder
    }
    assert set(found["defaults"]) == {"none", "mask", "no_image", "other_image"}
    assert (out / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (out / "sweep.svg").read_text()
    assert len(list((out / "parts").iterdir())) == 2


def test_an_unspoiled_picture_differs_in_nothing(out: Path) -> None:
    """Greedy answers to the same pictures are the same, and so are their log-probabilities but for the last digits."""
    clean = [each for part in sorted((out / "parts").iterdir()) for each in tables.read(part / "clean.parquet", Clean)]
    same = cell(out, "none-0")
    assert [(each.id, each.answer) for each in same] == [(each.id, each.answer) for each in clean]
    assert [each.total for each in same] == pytest.approx([each.total for each in clean], abs=1e-4)


def test_without_the_picture_its_text_is_less_likely(out: Path) -> None:
    clean = {e.id: e for part in (out / "parts").iterdir() for e in tables.read(part / "clean.parquet", Clean)}
    gaps = [clean[each.id].total - each.total for each in cell(out, "no_image-0")]
    assert sum(gaps) / len(gaps) > 2
    assert {each.image_id for each in cell(out, "no_image-0")} == {
        image.id for image in tables.read(out / "images.parquet", Image)
    }


def test_a_second_call_goes_on(out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What was asked is not asked again: a cell that is lost is made anew, to the byte, and all that is there is told;
    with nothing missing no model is asked at all."""
    lost = out / "parts" / "00001" / "mask-0.5.parquet"
    others = {path: path.stat().st_mtime_ns for path in (out / "parts").rglob("*.parquet") if path != lost}
    before = lost.read_bytes()
    lost.unlink()
    told = (out / "sweep.json").read_bytes()
    assert call(out, "--kinds", "mask") == 0
    assert (out / "sweep.json").read_bytes() == told
    assert lost.read_bytes() == before
    assert {path: path.stat().st_mtime_ns for path in others} == others
    monkeypatch.setattr(
        sys.modules["sena.sweeps.sweep"], "LocalEngine", lambda *args: pytest.fail("the model was asked")
    )
    capsys.readouterr()
    assert call(out, "--kinds", "mask,none,no_image,other_image", "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == json.loads((out / "sweep.json").read_text())
    assert f"Going on with the sweep in {out}" in said.err.replace("\n", "")


def test_a_picture_that_has_gone_is_left_out_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Four photographs, one of which is deleted before a second call tries a further kind."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        PIL.fromarray(getattr(data, name)()).resize((64, 64)).save(photos / f"{name}.png")
    arguments = [
        "sweep",
        "demo",
        "--model",
        "mini",
        "--images",
        str(photos),
        "--limit",
        "4",
        "--out",
        str(tmp_path / "made"),
    ]
    arguments += ["--set", "check.enabled=false", "--set", "engine.threads=1", "--kinds"]
    assert run_program([*arguments, "none"]) == 0
    assert "A new sweep in" in capsys.readouterr().err
    (photos / "coffee.png").unlink()
    assert run_program([*arguments, "flip"]) == 0
    assert "flip-1: 2 texts left out, their picture cannot be read" in capsys.readouterr().err
    assert {len(cell(tmp_path / "made", name)) for name in ("flip-1", "flip-2")} == {6}


def test_another_sweep_does_not_go_into_its_folder(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(out, "--set", "answer.suffix=Now.") == 2
    assert "differs in answer.suffix): choose another --out" in " ".join(capsys.readouterr().err.split())
    assert call(out.parent, "--kinds", "none") == 2
    assert "holds other files" in capsys.readouterr().err


def test_an_unknown_kind_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tmp_path / "new", "--kinds", "bluur") == 2
    assert "There is no corruption 'bluur': choose among diffusion, none, blur" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_table_fits_80_columns(out: Path) -> None:
    """Also where every share is 100 % and every gap is wide."""
    found = json.loads((out / "sweep.json").read_text())
    wide = {"value": 1.0, "low": 1.0, "high": 1.0}
    every = {
        "kind": "low_resolution",
        "strength": 32,
        **{
            part: {"differ": wide, "gap_token": {"value": 1.5, "low": -0.25, "high": 12.75}, "gap": {"value": 140.25}}
            | {"length": {"value": 12.5}}
            for part in ("description", "answer", "all")
        },
    }
    console = Console(width=80, record=True, highlight=False)
    console.print(table.table({**found, "cells": [*found["cells"], every]}))
    lines = console.export_text().splitlines()
    assert not any("…" in line for line in lines)
    (line,) = [line for line in lines if line.startswith("no_image")]
    assert "100 (100-100)" in line
    assert "1.50 (-0.25 to 12.75)" in lines[-1]


def test_words_name_what_a_run_would_take(out: Path) -> None:
    few = json.loads((out / "sweep.json").read_text())
    assert f"Only {few['answered']} images gave texts, too few to choose by: give more (--limit)" in table.words(few)
    found = {**few, "answered": table.FEW}
    told = table.words({**found, "kind": "mask", "strength": 0.9, "defaults": {"mask": 0.25, "none": None}})
    assert "  mask 0.25" in told
    assert "For a run: --set corruption.kind=mask --set corruption.strength=0.25 (the recipe has 0.9)" in told
    assert fault("mask", 0.25) is None
    none = table.words({**found, "kind": "mask", "strength": 0.9, "defaults": {"mask": None}})
    assert none[2].startswith("No tried strength of mask")
