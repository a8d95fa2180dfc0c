"""A run killed at its worst moments and started again ends as one that was never disturbed, to the byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rounds import kills

SETTINGS = (
    "evolve", "demo", "--rounds", "2", "--limit", "24", "--set", "engine.shard=8", "--set", "engine.window=8",
    "--set", "eval.count=12", "--set", "train.pairs_per_step=6", "--set", "train.save_every=1",
    "--set", "engine.threads=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("kill") / "whole"
    kills.finish(SETTINGS, out)
    return out


@pytest.mark.slow
def test_kills_change_nothing(undisturbed: Path, tmp_path: Path) -> None:
    """In the data half, between two tables of a shard, and in the training; then in the second round's data half."""
    out = tmp_path / "killed"
    moments: list[Callable[[Path], bool]] = [
        lambda run: (run / "round-1/shards/00000/manifest.json").exists(),
        lambda run: (run / "round-1/shards/00002/answers.parquet").exists(),
        lambda run: any((run / "round-1/checkpoints").glob("*")),
        lambda run: (run / "round-2/shards/00000/manifest.json").exists(),
    ]
    killed = [kills.kill_when(SETTINGS, out, moment) for moment in moments]
    assert sum(killed) >= 3, killed
    assert "Going on with the run" in kills.finish(SETTINGS, out)
    assert kills.differences(undisturbed, out) == []


@pytest.mark.slow
def test_a_finished_run_does_nothing_and_says_so(undisturbed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*") if path.is_file()}
    assert "This run is finished, nothing is left to do" in kills.finish(SETTINGS, undisturbed)
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
