"""One recipe, three computes, equal bytes; and kills of the driver and of Ray's head amid the work lose nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.rounds import kills

pytestmark = pytest.mark.slow

SETTINGS = (
    "pairs", "demo", "--limit", "32", "--set", "engine.shard=4", "--set", "engine.window=4",
    "--set", "engine.threads=1", "--set", "compute.workers=2",
)  # fmt: skip
PROCESSES = (*SETTINGS, "--set", "compute.kind=processes")
RAY = (*SETTINGS, "--set", "compute.kind=ray")


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("compute") / "inline"
    kills.finish(SETTINGS, out)
    return out


def made(run: Path) -> bool:
    return (run / "round-1/shards/00001/manifest.json").exists()


@pytest.mark.parametrize("compute", [PROCESSES, RAY], ids=["processes", "ray"])
def test_the_results_are_those_of_one_process(compute: Sequence[str], inline: Path, tmp_path: Path) -> None:
    out = tmp_path / "many"
    assert "up to 2 workers" in kills.finish(compute, out)
    assert len(kills.results(out)) > 40
    assert kills.differences(inline, out) == []


@pytest.mark.parametrize("compute", [PROCESSES, RAY], ids=["processes", "ray"])
def test_a_killed_driver_goes_on(compute: Sequence[str], inline: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    assert kills.kill_when(compute, out, made)
    assert "images were done before" in kills.finish(compute, out)
    assert kills.differences(inline, out) == []


def test_killed_workers_of_ray_lose_nothing(inline: Path, tmp_path: Path) -> None:
    """Both actors are killed from outside amid a real run; the driver lives, and nothing has to be typed again."""
    out, said = tmp_path / "orphans", tmp_path / "said.txt"
    with open(said, "w") as terminal:
        driver = subprocess.Popen(kills.command(RAY, out), stdout=terminal, stderr=subprocess.STDOUT)
    try:
        _until(lambda: made(out))
        workers = [each for each in _family(driver.pid) if _command(each).startswith("ray::Node")]
        assert len(workers) == 2
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        assert driver.wait(timeout=300) == 0
    finally:
        driver.kill()
        driver.wait()
    assert "a worker was lost" in said.read_text()
    assert kills.differences(inline, out) == []


def test_a_killed_head_of_ray_ends_the_run_which_goes_on(inline: Path, tmp_path: Path) -> None:
    """The head's process (gcs_server) is a child of the driver, which Ray ends some time after it."""
    out = tmp_path / "beheaded"
    driver = subprocess.Popen(kills.command(RAY, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until(lambda: made(out))
        heads = [child for child in _children(driver.pid) if "gcs_server" in _command(child)]
        assert len(heads) == 1
        os.kill(heads[0], signal.SIGKILL)
        driver.wait(timeout=180)
    finally:
        driver.kill()
        driver.wait()
    assert "done before" in kills.finish(PROCESSES, out) or driver.returncode == 0
    assert kills.differences(inline, out) == []


def _children(parent: int) -> set[int]:
    found = Path(f"/proc/{parent}/task").glob("*/children")
    with contextlib.suppress(OSError):
        return {int(each) for path in found for each in path.read_text().split()}
    return set()


def _family(parent: int) -> set[int]:
    """All processes below one."""
    children = _children(parent)
    return children.union(*map(_family, children))


def _command(process: int) -> str:
    """Its command line, empty for one that has ended meanwhile."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def _until(seen: Callable[[], bool], seconds: float = 120) -> None:
    begun = time.monotonic()
    while not seen():
        assert time.monotonic() - begun < seconds
        time.sleep(0.002)
