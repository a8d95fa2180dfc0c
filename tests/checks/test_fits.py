"""What `sena check` says where training does not fit: which one setting would make it fit."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import pytest
import yaml
from PIL import Image

from sena.cli.main import run_program
from sena.recipes.recipe import load_recipe
from tests.checks.test_memory import LLAVA_7B

GIB = 1 << 30
CHECK = importlib.import_module("sena.checks.check")  # the package has a function of that name


@pytest.fixture
def llava_7b(tmp_path: Path) -> Path:
    """A model of which there is only the configuration, and a picture."""
    (tmp_path / "config.json").write_text(json.dumps(LLAVA_7B))
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    return tmp_path


def told(
    place: Path, room: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *sets: str
) -> str:
    """All that is said on a machine with `room` GiB, its lines made one and blanks single."""
    monkeypatch.setattr(CHECK, "_memory_there", lambda: (room * GIB, "the GPU"))
    monkeypatch.setattr(CHECK, "_look_at_model", lambda recipe: "")  # asks for a processor, which is not there
    sets = ("model.dtype=bfloat16", "run.images_per_round=1", "run.rounds=1", *sets)
    CHECK.check(load_recipe("sena", model=str(place), images=str(place), settings=sets))
    return " ".join(capsys.readouterr().out.split())


def test_a_7b_in_full(llava_7b: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(llava_7b, 79, monkeypatch, capsys)
    assert "as it is 124.66 GiB, too much" in said
    assert "train.optimizer=adamw_8bit 61.90 GiB, fits" in said
    assert re.search(r"train\.method=lora 41\.\d+ GiB, fits", said)
    assert "train.gradient_checkpointing=true 103.62 GiB, too much" in said
    assert "--set train.optimizer=adamw_8bit, --set train.method=lora, a smaller train.batch_tokens" in said


def test_in_8_bits_nothing_is_wrong(
    llava_7b: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(llava_7b, 79, monkeypatch, capsys, "train.optimizer=adamw_8bit")
    assert "total 61.90 GiB" in said
    assert "Training needs" not in said
    assert "on a card of 80 GB" not in said


def test_the_recipe_is_told_when_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It stands before all else, and is the whole one; without the flag a fault is not far from the first line."""
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    faulty = ["check", "--model", "mini", "--images", str(tmp_path), "--limit", "9"]
    assert run_program(faulty) == 2
    short = capsys.readouterr().out.splitlines()
    assert len(short) < 15
    assert short[-1] == "Mend the above."
    assert short[-2].startswith("fault: 3 rounds of 9 images need 27 and there are 1")
    assert run_program([*faulty, "--recipe"]) == 2
    told = capsys.readouterr().out
    said = yaml.safe_load(told[: told.index("\nimages: 1 in")])
    assert said == load_recipe("sena", model="mini", images=str(tmp_path), limit=9).model_dump(mode="json")


def test_only_what_fits_here_is_offered(
    llava_7b: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(llava_7b, 48, monkeypatch, capsys)
    assert "take --set train.method=lora, a smaller train.batch_tokens, or a larger machine" in said


def test_what_training_cannot_do_is_a_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As `sena evolve` refuses it, here beside all else."""
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    given = ["check", "--model", "mini", "--images", str(tmp_path), "--rounds", "1", "--limit", "1"]
    assert run_program([*given, "--set", "train.launcher=accelerate launch --config_file fsdp2"]) == 2
    assert "fault: train.launcher: fsdp2 is for FSDP, and train.parallel is ddp" in capsys.readouterr().out
