"""Every mistake of a user ends in one sentence that names it and its mend, with exit code 2 and without a traceback."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from sena.cli.main import run_program
from sena.runs.folder import locked

SMALL = ("--rounds", "1", "--limit", "4", "--set", "eval.count=4", "--set", "engine.threads=1")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(6):
        Image.new("RGB", (40, 30), (40 * number, 90, 200)).save(folder / f"{number}.png")
    return folder


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert run_program([str(each) for each in arguments]) == 2
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    return said.err + said.out


def test_no_model_there(capsys: pytest.CaptureFixture[str], tmp_path: Path, photos: Path) -> None:
    said = complaint(
        capsys, "evolve", "sena", "--model", tmp_path / "nothing", "--images", photos, "--out", tmp_path / "run", *SMALL
    )
    assert "nothing holds no model (no config.json there): give a model's folder or its hub name" in said
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").glob("*.json"))


def test_a_text_only_model(capsys: pytest.CaptureFixture[str], tmp_path: Path, photos: Path) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "config.json").write_text(json.dumps({"model_type": "llama"}))
    arguments = ("--model", tmp_path / "text", "--images", photos, *SMALL[:4])
    for verb in (("evolve", "sena", "--out", tmp_path / "run"), ("check", "sena")):
        said = complaint(capsys, *verb, *arguments)
        assert "is a llama model, which reads no pictures" in said


def test_an_empty_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = complaint(capsys, "evolve", "demo", "--images", tmp_path / "empty", "--out", tmp_path / "run", *SMALL)
    assert "No picture (.jpg, .jpeg, .png, .webp, .gif) in the folder" in said


def test_no_folder_at_all(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = complaint(capsys, "evolve", "demo", "--images", tmp_path / "typo", "--out", tmp_path / "run", *SMALL)
    assert "There is no folder" in said
    assert "typo" in said


def test_a_folder_that_may_not_be_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests may run as root, whom no permission stops, so the system's refusal is played."""

    real = os.scandir

    def refuse(path: str) -> object:
        if str(path).startswith(str(photos)):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    said = complaint(capsys, "evolve", "demo", "--images", photos, "--out", tmp_path / "run", *SMALL)
    assert "may not be read" in said


def test_too_few_images(capsys: pytest.CaptureFixture[str], tmp_path: Path, photos: Path) -> None:
    Image.effect_noise((64, 64), 90).convert("RGB").save(tmp_path / "whole.jpg")
    (photos / "torn.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:1500])
    said = complaint(capsys, "pairs", "demo", "--images", photos, "--limit", "9", "--out", tmp_path / "run")
    assert "Round 1 needs 9 pictures and 6 can be had; 1 skipped (1 truncated): give --limit 6 or more images" in said


def test_a_round_without_pairs_says_why(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Two pictures, a description and an answer each, and nothing is spoiled."""
    clean = ("--limit", "2", "--set", "corruption.kind=none")
    said = complaint(capsys, "pairs", "demo", *clean, "--out", tmp_path / "run")
    assert "Round 1 kept no pair (filter: identical x 4)" in said


def test_no_images_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = complaint(capsys, "evolve", "sena", "--out", tmp_path / "run")
    assert "images" in said
    assert "--images" in said


def test_a_wrong_key_and_a_wrong_value(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("extends: demo\ntrain:\n  learning_rte: 1.0e-5\ndpo:\n  beta: -1\n")
    said = complaint(capsys, "evolve", recipe, "--out", tmp_path / "run")
    assert "line 3" in said
    assert "train.learning_rate" in said
    assert "line 5" in said
    assert "dpo.beta" in said
    said = complaint(capsys, "evolve", "demo", "--set", "run.sed=3", "--out", tmp_path / "run")
    assert "run.seed" in said
    assert "There is no recipe 'dmeo': did you mean demo?" in complaint(capsys, "evolve", "dmeo")
    assert not (tmp_path / "run").exists()


def test_a_run_folder_of_another_version_or_recipe(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "manifest.json").write_text('{"schema": 0}')
    assert "schema 0, this one has 1" in complaint(capsys, "evolve", "demo", "--out", run)
    (run / "manifest.json").unlink()
    (run / "holiday.jpg").write_bytes(b"")
    assert "holds other files" in complaint(capsys, "evolve", "demo", "--out", run)
    assert "is not a run folder" in complaint(capsys, "show", run)


def test_two_processes_on_one_run_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with locked(tmp_path / "run"):
        said = complaint(capsys, "evolve", "demo", *SMALL, "--out", tmp_path / "run")
    assert "is in use by process" in said


def test_a_full_disk_loses_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    real, room = os.fsync, 12

    def fill(handle: int) -> None:
        nonlocal room
        room -= 1
        if room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", fill)
    said = complaint(capsys, "evolve", "demo", *SMALL, "--out", run)
    assert "No space left on the disk of" in said
    assert "run the same command again; it goes on" in said
    monkeypatch.setattr(os, "fsync", real)
    assert run_program(["evolve", "demo", *SMALL, "--out", str(run)]) == 0
    assert "Going on with the run" in capsys.readouterr().out


def test_a_changed_recipe_is_refused_with_its_keys(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert run_program(["pairs", "demo", *SMALL[2:], "--out", str(run)]) == 0
    capsys.readouterr()
    said = complaint(capsys, "evolve", "demo", *SMALL[2:], "--set", "dpo.beta=0.2", "--out", run)
    assert "was begun with another recipe (it differs in dpo.beta)" in said


def test_ask_needs_a_picture_and_a_question(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "at least one picture" in complaint(capsys, "ask", "mini", "what?")
    (tmp_path / "no.png").write_text("no picture")
    assert "no.png cannot be used as a picture" in complaint(capsys, "ask", "mini", tmp_path / "no.png", "what?")
    assert "gone.png cannot be read" in complaint(capsys, "ask", "mini", tmp_path / "gone.png", "what?")


@pytest.mark.slow
def test_ctrl_c_stops_with_130_and_the_run_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from sena.cli import main; main()", "evolve", "demo", *SMALL]
    command += ["--limit", "60", "--set", "engine.shard=4", "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job's children ignore it
    )
    shard = tmp_path / "run/round-1/shards/00000/manifest.json"
    for _ in range(30_000):  # a busy machine takes its time
        if shard.exists() or process.poll() is not None:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped. What was done is kept: type the same command to go on." in errors
    assert "Traceback" not in errors
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "images were done before" in again.stdout


@pytest.mark.parametrize("arguments", [["pairs", "--bogus", "3"], ["evolv"], ["check", "--try", "many"], ["ask"]])
def test_a_mistyped_command_is_the_users_mistake(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_program(arguments) == 2
    said = capsys.readouterr().err
    assert "fault of sena" not in said
    assert "Usage" in said
