"""Whole runs on a pretended GPU: nothing that is on the CPU meets what is not, and the numbers are the CPU's own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import sena
from sena import files
from sena.mini import world
from sena.runs.folder import RoundFolder, RunFolder
from tests.gpu import pretend
from tests.rounds import kills

GPU = ("-m", "tests.gpu.pretend")
SMALL = ("--limit", "16", "--set", "eval.count=8", "--set", "eval.watch=8", "--set", "train.pairs_per_step=6")


def words(*settings: str, rounds: int = 1) -> list[str]:
    more = [part for setting in settings for part in ("--set", setting)]
    return ["evolve", "demo", "--rounds", str(rounds), *SMALL, "--set", "engine.threads=1", *more]


def on_gpu(*settings: str, rounds: int = 1) -> list[str]:
    return words("model.device=cuda", *settings, rounds=rounds)


def weights(made: RoundFolder) -> dict[str, torch.Tensor]:
    return load_file(made.model / "model.safetensors")


@pytest.mark.slow
def test_a_run_is_the_cpus(tmp_path: Path) -> None:
    """In float32, from the questions to the evidence."""
    printed = kills.finish(on_gpu("model.dtype=float32"), tmp_path / "gpu", GPU)
    kills.finish(words("model.dtype=float32"), tmp_path / "cpu")
    assert files.read_json(tmp_path / "gpu" / "manifest.json")["device"] == pretend.NAME
    assert "plain rows" not in printed
    there, here = (RunFolder(tmp_path / side).round(1) for side in ("gpu", "cpu"))
    for name in ("questions", "answers", "pairs"):
        assert there.table(name).read_bytes() == here.table(name).read_bytes()
    ours, theirs = weights(there), weights(here)
    assert ours.keys() == theirs.keys()
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in ours) < 1e-6
    assert there.evidence.read_text() == here.evidence.read_text()
    world.render(world.make_scene("evaluation", 3)).save(tmp_path / "picture.png")
    assert sena.ask(tmp_path / "gpu", [tmp_path / "picture.png"], "what is this ?")[0]  # it loads without a GPU too


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        ("train.gradient_checkpointing=true", "train.projector_learning_rate=1e-5"),
        ("train.method=lora", "samples.count=3"),
        ("train.optimizer=adamw_8bit", "train.packing=plain"),
    ],
)
def test_other_ways_run_through_in_bfloat16(tmp_path: Path, settings: tuple[str, ...]) -> None:
    """Two rounds each, the second from a model that was saved from the GPU."""
    printed = kills.finish(on_gpu(*settings, rounds=2), tmp_path / "run", GPU)
    assert printed.count("first preference loss 0.69") == 2
    first, second = (weights(RunFolder(tmp_path / "run").round(number)) for number in (1, 2))
    assert {each.dtype for each in second.values()} == {torch.bfloat16}
    assert any(not torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_a_training_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    """Its checkpoint came from the GPU and goes back there; coded states and rounding by chance to the bit."""
    asked = on_gpu("train.optimizer=adamw_8bit", "train.save_every=1", "train.epochs=4")
    kills.finish(asked, tmp_path / "whole", GPU)
    begun = "round-1/checkpoints/step-*/manifest.json"
    assert kills.kill_when(asked, tmp_path / "killed", lambda run: any(run.glob(begun)), GPU)
    assert "Going on with the run" in kills.finish(asked, tmp_path / "killed", GPU)
    whole, again = (weights(RunFolder(tmp_path / name).round(1)) for name in ("whole", "killed"))
    assert all(torch.equal(whole[name], again[name]) for name in whole)
