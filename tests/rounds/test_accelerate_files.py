"""What accelerate's files say has to agree with the recipe. That the shipped ones start ranks: test_launchers.py."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file

from sena.errors import RecipeError
from sena.recipes.recipe import load_recipe
from sena.rounds import accelerate_files, launch

LAUNCH = "train.launcher=accelerate launch --config_file"
FSDP2 = ("train.parallel=fsdp2", "train.processes=2")


def demand(*settings: str) -> None:
    """As `sena evolve` does before anything else."""
    launch.demand(load_recipe("demo", settings=("model.device=cpu", *settings)))


def written(place: Path, text: str) -> str:
    (place / "mine.yaml").write_text(text)
    return f"{LAUNCH} {place / 'mine.yaml'}"


@pytest.mark.parametrize("name", ["single_gpu", "multi_gpu", "fsdp2"])
def test_shipped_files_are_accelerates(name: str) -> None:
    """Accelerate itself reads them: no key that it does not know, and one machine."""
    assert load_config_from_file(str(accelerate_files.SHIPPED[name])).num_machines == 1


def test_the_names_are_those_of_trl() -> None:
    theirs = {Path(str(each)).stem for each in resources.files("trl.accelerate_configs").iterdir()}
    assert set(accelerate_files.SHIPPED) <= theirs


def test_the_command() -> None:
    """A shipped name becomes its path, and train.processes the number that neither command nor file gives."""
    settings = load_recipe("demo", settings=("train.processes=2",)).train
    multi = str(accelerate_files.SHIPPED["multi_gpu"])
    words = ["accelerate", "launch", "--config-file=multi_gpu", "--main_process_port", "1"]
    program = [sys.executable, "-m", "accelerate.commands.launch"]
    wanted = [*program, "--config_file", multi, "--num_processes", "2", "--main_process_port", "1"]
    assert accelerate_files.command(words, settings, 2) == wanted
    words = ["/opt/bin/accelerate", "launch", "--config_file", "multi_gpu.yaml", "--num_processes", "2"]
    wanted = ["/opt/bin/accelerate", "launch", "--config_file", multi, "--num_processes", "2"]
    assert accelerate_files.command(words, settings, 2) == wanted


def test_what_agrees_is_taken(tmp_path: Path) -> None:
    demand(f"{LAUNCH} single_gpu")
    demand(f"{LAUNCH} multi_gpu", "train.processes=2")
    demand(f"{LAUNCH} fsdp2", *FSDP2)
    demand(f"{LAUNCH} {accelerate_files.SHIPPED['fsdp2']}", *FSDP2)
    demand(
        written(tmp_path, "distributed_type: MULTI_GPU\nnum_processes: 4\nmixed_precision: bf16"),
        "model.dtype=bfloat16",
    )


def test_trls_own_files_are_taken() -> None:
    """They start 8 processes in bfloat16."""
    theirs = resources.files("trl.accelerate_configs")
    demand(f"{LAUNCH} {theirs / 'multi_gpu.yaml'}", "model.dtype=bfloat16")
    demand(f"{LAUNCH} {theirs / 'fsdp2.yaml'}", "model.dtype=bfloat16", "train.parallel=fsdp2", "train.processes=8")
    for name, why in {
        "zero2": "is for DEEPSPEED",
        "zero3": "is for DEEPSPEED",
        "fsdp1": "is for FSDP of version 1",
    }.items():
        with pytest.raises(RecipeError, match=why):
            demand(f"{LAUNCH} {theirs / name}.yaml", "model.dtype=bfloat16", "train.parallel=fsdp2")


@pytest.mark.parametrize(
    ("file", "settings", "match"),
    [
        ("fsdp2", ("train.processes=2",), "fsdp2 is for FSDP, and train.parallel is ddp: set train.parallel=fsdp2"),
        ("multi_gpu", FSDP2, r"multi_gpu is for whole replicas \(MULTI_GPU\), and train.parallel is fsdp2"),
        ("single_gpu", ("train.processes=2",), "train.processes is 2, and train.launcher's num_processes 1"),
        ("multi_gpu", (), "multi_gpu is for several processes: set train.processes to their number"),
        ("zero3", (), "there is no file zero3: give its path, or one of fsdp2, multi_gpu, single_gpu"),
    ],
)
def test_contradictions_of_shipped_files(file: str, settings: tuple[str, ...], match: str) -> None:
    with pytest.raises(RecipeError, match=match):
        demand(f"{LAUNCH} {file}", *settings)


@pytest.mark.parametrize(
    ("text", "settings", "match"),
    [
        ("distributed_type: DEEPSPEED", (), "is for DEEPSPEED, which sena has not: take fsdp2"),
        ("distributed_type: FSDP\nfsdp_config: {fsdp_version: 1}", FSDP2, "is for FSDP of version 1"),
        ("distributed_type: FSDP\nfsdp_config: {fsdp_offload_params: true, fsdp_version: 2}", FSDP2, "set it to false"),
        (
            "distributed_type: FSDP\nfsdp_config: {activation_checkpointing: true, version: 2}",
            FSDP2,
            "set train.gradient_checkpointing=true too",
        ),
        (
            "distributed_type: MULTI_GPU\nmixed_precision: fp16",
            ("train.processes=2",),
            "says mixed_precision: fp16, and model.dtype makes float32",
        ),
        (
            "distributed_type: MULTI_GPU\nnum_processes: 8",
            ("train.processes=4",),
            "train.processes is 4, and train.launcher's num_processes 8",
        ),
        ("num_processes: 8", (), "is no file of accelerate's"),
        ("distributed_type: FSDP\nfsdp_config: [1]", FSDP2, "is no file of accelerate's, since its fsdp_config"),
        ("a: [", (), "cannot be read"),
    ],
)
def test_contradictions_of_own_files(tmp_path: Path, text: str, settings: tuple[str, ...], match: str) -> None:
    with pytest.raises(RecipeError, match=match):
        demand(written(tmp_path, text), *settings)


def test_ranks_that_a_script_starts_know_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `accelerate launch` leaves in the environment of its processes; torchrun leaves nothing of it."""
    settings = load_recipe("demo").train
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    accelerate_files.demand_here(settings, "float32")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    with pytest.raises(RecipeError, match=r"accelerate launch is for FSDP, and train\.parallel is ddp"):
        accelerate_files.demand_here(settings, "float32")
    monkeypatch.setenv("FSDP_VERSION", "2")
    accelerate_files.demand_here(load_recipe("demo", settings=FSDP2).train, "float32")
