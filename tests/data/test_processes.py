"""The pool with real processes: what workers that die, hang or fail cost, and that nothing else changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sena.data.blame import Work
from sena.data.config import ComputeConfig
from sena.data.crew import Make, Task
from sena.data.pool import work_off
from sena.data.processes import processes, visible_gpus
from sena.data.run_stage import Dropped
from sena.errors import SenaError
from sena.records import Pair
from sena.runs import tables
from tests.data import workers

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _workers_find_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


class Run:
    """Shards of pictures by their names, worked off by two processes."""

    gpus: Sequence[str] = ()

    def __init__(self, folder: Path, *parts: str, make: Make = workers.make, **settings: Any) -> None:
        self.folder, self.parts = folder, [part.split() for part in parts]
        self.order = {"folder": str(folder / "many"), "parts": self.parts}
        self.config = ComputeConfig(kind="processes", workers=2, **settings)
        self.make, self.log = make, folder / "workers.log"
        self.told: list[dict[str, Any]] = []
        self.said: list[str] = []

    def work(self) -> list[Work]:
        works = [Work(place, tuple(part), self.config.retries) for place, part in enumerate(self.parts)]
        with processes(2, self.make, self.order, 1, self.gpus, self.log) as crew:
            return work_off(crew, works, self.config, self.told.append, self.said.append)

    def alone(self, shard: int, left_out: tuple[str, ...] = ()) -> dict[str, bytes]:
        """What this process makes of the shard."""
        order = {"folder": str(self.folder / "alone"), "parts": self.parts}
        worker = workers.make(order)
        worker.run(Task(shard, left_out))
        return files_of(worker.folder.shard(shard))

    def made(self, shard: int) -> dict[str, bytes]:
        return files_of(self.folder / "many" / "shards" / f"{shard:05d}")


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*"))}


def test_processes_make_what_one_makes_alone(tmp_path: Path) -> None:
    run = Run(tmp_path, "a b c", "d e f", "g")
    assert run.work() == []
    assert sum(made["made"] for made in run.told) == 7
    for shard in range(3):
        assert run.made(shard) == run.alone(shard)
        assert len(run.made(shard)) == 6
    assert run.said == []


def test_a_worker_that_is_killed_costs_one_more_try(tmp_path: Path) -> None:
    run = Run(tmp_path, "a", "first b", "c")
    assert run.work() == []
    assert run.said == ["  a worker was ended by SIGKILL at shard 1, which is tried again"]
    assert len({made["pid"] for made in run.told} | {os.getpid()}) >= 2
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "first-was-here").touch()
    assert run.made(1) == run.alone(1)


def test_a_poisoned_image_costs_only_itself(tmp_path: Path) -> None:
    run = Run(tmp_path, "a b killer d", "e", retries=0)
    assert run.work() == []
    assert "the image killer: a worker died of it alone" in run.said[-1]
    folder = tmp_path / "many" / "shards" / "00000"
    drops = tables.read(folder / "drops.parquet", Dropped)
    assert [(drop.image_id, drop.stage, drop.reason) for drop in drops] == [("killer", "worker", "worker died")]
    assert {pair.image_id for pair in tables.read(folder / "pairs.parquet", Pair)} == {"a", "b", "d"}
    assert run.made(0) == run.alone(0, ("killer",))


def test_a_shard_that_kills_whole_is_put_aside_and_the_others_are_made(tmp_path: Path) -> None:
    run = Run(tmp_path, "a", "heavy1 heavy2 heavy3 heavy4", "b", retries=0)
    [failed] = run.work()
    assert (failed.shard, failed.why, failed.left_out) == (1, "was ended by SIGKILL", ())
    assert run.made(1) == {}
    assert run.made(0)["manifest.json"]
    assert run.made(2)["manifest.json"]


def test_a_worker_that_hangs_is_ended_and_replaced(tmp_path: Path) -> None:
    run = Run(tmp_path, "a", "hang", timeout_minutes=0.1)
    assert run.work() == []
    assert run.said == ["  a worker gave no answer in 0.1 minutes at shard 1, which is tried again"]


def test_a_fault_of_ours_is_a_death_with_its_place_in_the_log(tmp_path: Path) -> None:
    run = Run(tmp_path, "fault", retries=0)
    assert run.work() == []  # the one image is given up
    assert run.said[0].startswith("  a worker ended with status 1 (see workers.log) at shard 0")
    assert "ZeroDivisionError: a fault of ours" in run.log.read_text()


def test_a_mistake_is_the_users_and_is_not_tried_again(tmp_path: Path) -> None:
    with pytest.raises(SenaError, match="No space left: free some"):
        Run(tmp_path, "mistake", "a").work()


def test_workers_that_are_never_ready_end_the_run(tmp_path: Path) -> None:
    with pytest.raises(SenaError, match="No worker could be made ready, in 2 tries; the last ended with status 1"):
        Run(tmp_path, "a", make=workers.never, retries=1).work()
    with pytest.raises(SenaError, match="node-7 has no file"):
        Run(tmp_path, "a", make=workers.refuses).work()


def test_no_worker_outlives_its_parent(tmp_path: Path) -> None:
    """The parent is killed while a worker hangs; the worker's own process is gone soon after."""
    code = f"""
from pathlib import Path
from tests.data.test_processes import Run
run = Run(Path({str(tmp_path)!r}), "hang")
run.work()
"""
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    try:
        mark = tmp_path / "many" / "hang-was-here"
        _until(mark.exists)
        children = Path(f"/proc/{parent.pid}/task").glob("*/children")
        [child] = {int(each) for path in children for each in path.read_text().split()}
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        _until(lambda: not Path(f"/proc/{child}").exists() or "State:\tZ" in Path(f"/proc/{child}/status").read_text())
    finally:
        parent.kill()


def _until(seen: Any, seconds: float = 30) -> None:
    begun = time.monotonic()
    while not seen():
        assert time.monotonic() - begun < seconds
        time.sleep(0.02)


def test_each_worker_sees_one_gpu(tmp_path: Path) -> None:
    run = Run(tmp_path, "slow1", "slow2", "first", "slow3")
    run.gpus = ["5", "7"]
    assert run.work() == []
    assert {made["gpu"] for made in run.told} == {"5", "7"}


def test_gpus_are_named_to_children_as_this_process_sees_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus(2) == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert visible_gpus(2) == ["5", "7"]
    assert visible_gpus(0) == []
