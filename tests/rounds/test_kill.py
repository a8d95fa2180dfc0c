"""A run killed at its worst moments and started again ends as one that was never disturbed, to the byte."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SETTINGS = (
    "--rounds", "2", "--limit", "24", "--set", "engine.shard=8", "--set", "engine.window=8", "--set", "eval.count=12",
    "--set", "train.pairs_per_step=6", "--set", "train.save_every=1", "--set", "engine.threads=1",
)  # fmt: skip


def command(out: Path) -> list[str]:
    return [sys.executable, "-c", "from sena.cli import main; main()", "evolve", "demo", *SETTINGS, "--out", str(out)]


def finish(out: Path) -> str:
    done = subprocess.run(command(out), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def kill_when(out: Path, moment: Callable[[Path], bool]) -> bool:
    """Start the run and SIGKILL it as soon as `moment` is seen. False when it was over before."""
    process = subprocess.Popen(command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            if moment(out):
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                return True
            time.sleep(0.002)
    finally:
        process.kill()
        process.wait()
    return False


def results(run: Path) -> dict[str, bytes]:
    """Every file of every round: tables, raw replies, references, weights, evidence."""
    found = {}
    for path in sorted(run.glob("round-*/**/*")):
        if path.is_file():
            found[str(path.relative_to(run))] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("kill") / "whole"
    finish(out)
    return out


@pytest.mark.slow
def test_three_kills_change_nothing(undisturbed: Path, tmp_path: Path) -> None:
    """In the data half, between two tables of a shard, and in the training; then in the second round's data half."""
    out = tmp_path / "killed"
    moments: list[Callable[[Path], bool]] = [
        lambda run: (run / "round-1/shards/00000/manifest.json").exists(),
        lambda run: (run / "round-1/shards/00002/answers.parquet").exists(),
        lambda run: any((run / "round-1/checkpoints").glob("*")),
        lambda run: (run / "round-2/shards/00000/manifest.json").exists(),
    ]
    killed = [kill_when(out, moment) for moment in moments]
    assert sum(killed) >= 3, killed
    said = finish(out)
    assert "Going on with the run" in said
    before, after = results(undisturbed), results(out)
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] != after[name]] == []


@pytest.mark.slow
def test_a_finished_run_does_nothing_and_says_so(undisturbed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*") if path.is_file()}
    said = finish(undisturbed)
    assert "This run is finished, nothing is left to do" in said
    changed = {path.name for path, when in before.items() if path.stat().st_mtime_ns != when}
    assert changed <= {"log.txt", ".lock"}


@pytest.mark.slow
def test_there_is_no_pickle_in_a_run_folder(undisturbed: Path) -> None:
    """No file begins as a pickle (protocol 2 to 5 opens with 0x80 and its number) or as a zip of torch.save."""
    for path in undisturbed.rglob("*"):
        if path.is_file():
            head = path.read_bytes()[:4]
            assert not (head[:1] == b"\x80" and len(head) > 1 and head[1] in range(2, 6)), path
            assert head != b"PK\x03\x04", path
            assert path.suffix not in {".bin", ".pt", ".pth", ".pkl", ".ckpt"}, path
