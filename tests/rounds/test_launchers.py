"""Whatever starts the ranks of a round's training half, one model comes out. Each launcher is really run, without GPUs.

The pairs are made once; every launcher then scores and trains in a copy of that run.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import sena
from sena.progress import Reporter
from sena.recipes.recipe import Recipe, load_recipe
from sena.records import Pair
from sena.rounds import training_half
from sena.rounds.job import open_job
from sena.runs import tables
from sena.runs.metrics import read_metrics

pytestmark = pytest.mark.slow

SETTINGS = ("run.rounds=1", "run.images_per_round=32", "train.pairs_per_step=6", "train.epochs=2", "engine.threads=1")
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
    assert json.loads((out / "trainers.json").read_text())["parallel"] == ("fsdp2" if file == "fsdp2" else "ddp")
    assert_same(alone, out)
