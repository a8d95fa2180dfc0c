"""Whatever starts the ranks of a round's training half, one model comes out. Each launcher is really run, without GPUs.

The pairs are made once; every launcher then scores and trains in a copy of that run.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

import sena
from sena.data.actors import cluster
from sena.errors import SenaError
from sena.progress import Reporter
from sena.recipes.recipe import Recipe, load_recipe
from sena.records import Pair
from sena.rounds import training_half
from sena.rounds.job import open_job
from sena.runs import tables
from sena.runs.metrics import read_metrics

pytestmark = pytest.mark.slow

SETTINGS = (
    "run.rounds=1", "run.images_per_round=32", "engine.threads=1", "train.pairs_per_step=6", "train.epochs=2",
    "train.save_every=1",
)  # fmt: skip
TWO = "train.processes=2"
FSDP2 = (TWO, "train.parallel=fsdp2")


def recipe(*settings: str) -> Recipe:
    return load_recipe("demo", settings=(*SETTINGS, "model.device=cpu", *settings))


def half(out: Path, *settings: str) -> None:
    """Reference scores and policy of round 1, as `sena evolve` has them made."""
    with open_job(recipe(*settings), out, Reporter()) as job:
        pairs = tables.read(job.round(1).table("pairs"), Pair)
        training_half.train_policy(job, 1, pairs, training_half.score_reference(job, 1, pairs))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose pairs are made."""
    out = tmp_path_factory.mktemp("launchers") / "pairs"
    sena.pairs(recipe(), out)
    return out


@pytest.fixture(scope="module")
def alone(pairs: Path) -> Path:
    """The same, trained by this process."""
    out = Path(shutil.copytree(pairs, pairs.parent / "alone"))
    threads = torch.get_num_threads()
    half(out)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    return out


def losses(out: Path) -> list[float]:
    lines = [line for line in read_metrics(out / "metrics.jsonl") if line["stage"] == "train" and "loss" in line]
    assert [line["step"] for line in lines] == list(range(lines[0]["steps"]))
    return [line["loss"] for line in lines]


def assert_same(one: Path, other: Path) -> None:
    """A step at the demo's rate that one of them missed would move weights by 1e-4 and more."""
    assert len(losses(one)) > 4
    assert losses(other) == pytest.approx(losses(one), abs=1e-5)
    first, second = (load_file(next((run / "round-1/model").glob("*.safetensors"))) for run in (one, other))
    assert first.keys() == second.keys()
    gaps = [(first[name].float() - second[name].float()).abs() for name in first]
    assert max(float(gap.max()) for gap in gaps) < 1e-4
    assert max(float(gap.mean()) for gap in gaps) < 1e-7


@pytest.mark.parametrize(
    ("file", "settings", "told"),
    [
        ("single_gpu", (), ""),
        ("multi_gpu", (TWO,), "2 processes train together (ddp)"),
        ("fsdp2", FSDP2, "2 processes train together (fsdp2)"),
    ],
)
def test_accelerate(pairs: Path, alone: Path, tmp_path: Path, file: str, settings: tuple[str, ...], told: str) -> None:
    """With the files that are shipped: on a machine without GPUs the same files start processes over gloo."""
    out = Path(shutil.copytree(pairs, tmp_path / "run"))
    half(out, f"train.launcher=accelerate launch --config_file {file}", *settings)
    assert told in (out / "log.txt").read_text()
    assert json.loads((out / "trainers.json").read_text())["train"]["parallel"] == (
        "fsdp2" if file == "fsdp2" else "ddp"
    )
    assert_same(alone, out)


def scored(pairs: Path, alone: Path, out: Path) -> Path:
    """A copy of the run whose pairs are scored, too."""
    shutil.copytree(pairs, out)
    shutil.copytree(alone / "round-1/reference", out / "round-1/reference")
    return out


def test_shards_without_memory_begin_anew_with_smaller_batches(pairs: Path, alone: Path, tmp_path: Path) -> None:
    """One rank has no room amid a step that both work at: both end, and go on from the checkpoint as if nothing was."""
    out = scored(pairs, alone, tmp_path / "run")
    half(
        out, f"train.launcher={sys.executable} -m tests.rounds.tight", "train.parallel=fsdp2", "train.batch_tokens=512"
    )
    log = (out / "log.txt").read_text()
    assert "memory did not suffice: all processes begin anew, with batches halved" in log
    assert json.loads((out / "trainers.json").read_text())["halvings"] > 0
    assert log.count("2 processes train together (fsdp2)") == log.count("begin anew") + 1
    assert_same(alone, out)


@pytest.fixture(scope="module")
def on_ray() -> Iterator[tuple[str, ...]]:
    """Settings for two workers on a Ray that is there already."""
    with cluster(None, 2) as ray:
        yield ("train.launcher=ray", TWO, f"compute.ray.address={ray.get_runtime_context().gcs_address}")


def test_ray(pairs: Path, alone: Path, on_ray: tuple[str, ...], tmp_path: Path) -> None:
    out = Path(shutil.copytree(pairs, tmp_path / "run"))
    half(out, *on_ray)
    assert "2 processes train together (ddp)" in (out / "log.txt").read_text()
    assert not (out / "ray").exists()
    assert_same(alone, out)


def test_a_worker_that_is_killed_ends_all_and_the_run_goes_on(
    pairs: Path, alone: Path, on_ray: tuple[str, ...], tmp_path: Path
) -> None:
    """Killed once there is a checkpoint; one process then ends what two of Ray's workers began."""
    out = scored(pairs, alone, tmp_path / "run")
    killed = threading.Thread(target=kill_a_worker, args=(out / "round-1/checkpoints",))
    killed.start()
    with pytest.raises(SenaError, match=r"A training process ended before its time.*type the same command to go on"):
        half(out, *on_ray)
    killed.join()
    assert not (out / "round-1/training.json").exists()
    half(out)
    assert_same(alone, out)


def kill_a_worker(checkpoints: Path) -> None:
    latest = time.monotonic() + 300
    while not any(checkpoints.glob("step-*/manifest.json")):
        assert time.monotonic() < latest
        time.sleep(0.02)
    children = psutil.Process().children(recursive=True)
    os.kill(next(each.pid for each in children if "RayTrainWorker" in " ".join(each.cmdline())), signal.SIGKILL)


def test_a_mistake_is_told_in_one_sentence(pairs: Path, alone: Path, on_ray: tuple[str, ...], tmp_path: Path) -> None:
    """Whatever Ray makes of what a worker raises, the user reads what the rank had to say."""
    out = scored(pairs, alone, tmp_path / "run")
    part = out / "round-1/reference/part-00000.parquet"
    table = pq.read_table(part)
    moved = table.set_column(1, "chosen", [[value.as_py() + 1 for value in table["chosen"]]])
    pq.write_table(moved.cast(table.schema), part)
    with pytest.raises(SenaError, match=r"^The first preference loss is [0-9.]+ instead of 0\.6931"):
        half(out, *on_ray)


def test_a_cluster_that_is_not_there(pairs: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(pairs, tmp_path / "run"))
    with pytest.raises(SenaError, match=r"^No Ray cluster was reached at 127\.0\.0\.1:1 \(compute\.ray\.address\)"):
        half(out, "train.launcher=ray", TWO, "compute.ray.address=127.0.0.1:1")
