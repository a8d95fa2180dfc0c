"""What accelerate's files say, held against the recipe: they start ranks, and the recipe alone says how ranks train.

`single_gpu`, `multi_gpu` and `fsdp2` are shipped, under the names that TRL's users know.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from sena.align.config import TrainConfig
from sena.errors import RecipeError

SHIPPED = {path.stem: path for path in sorted((Path(__file__).parent / "accelerate_configs").glob("*.yaml"))}
REPLICAS = ("NO", "MULTI_GPU", "MULTI_CPU")
PRECISIONS = {"bf16": "bfloat16", "fp16": "float16"}


class Said(NamedTuple):
    """What accelerate was told: its word for the kind of training, FSDP's settings, precision, number of processes."""

    kind: str
    fsdp: Mapping[str, str]
    precision: str
    processes: int | None


def is_accelerate(words: Sequence[str]) -> bool:
    """Whether a launcher's command is `accelerate launch ...`."""
    return bool(words) and Path(words[0]).name == "accelerate" and list(words[1:2]) == ["launch"]


def command(words: Sequence[str], settings: TrainConfig, processes: int) -> list[str]:
    """`accelerate launch ...` as it is to be run: a shipped name becomes a path, this Python's accelerate stands for
    the bare word, and the recipe's `processes` are named where neither command nor file names any.

    Raises RecipeError when there is no such file, and when they name another number than the recipe.
    """
    given, rest = _options(words)
    path = _file(given.config_file)
    said = None if path is None else read(path)
    named = given.num_processes or (said.processes if said else None)
    if named and settings.processes != 1 and processes != named:
        raise RecipeError(f"train.processes is {settings.processes}, and train.launcher's num_processes {named}")
    if not named and processes == 1 and said is not None and said.kind != "NO":
        raise RecipeError(
            f"train.launcher: {given.config_file or path} is for several processes: set train.processes to their "
            "number, or to auto for one on each GPU of several"
        )
    program = [sys.executable, "-m", "accelerate.commands.launch"] if words[0] == "accelerate" else list(words[:2])
    file = [] if path is None else ["--config_file", str(path)]
    return [*program, *file, "--num_processes", str(named or processes), *rest]


def demand(words: Sequence[str], settings: TrainConfig, dtype: str) -> None:
    """Raises RecipeError when the file of `accelerate launch ...` speaks against the recipe."""
    given, _ = _options(words)
    path = _file(given.config_file)
    if path is not None:
        _refuse(read(path), f"train.launcher: {given.config_file or path}", settings, dtype)


def demand_here(settings: TrainConfig, dtype: str) -> None:
    """The same in a rank that accelerate has started in whatever way, by what it left in the environment."""
    if "ACCELERATE_MIXED_PRECISION" not in os.environ:
        return
    kinds = [
        kind for kind in ("FSDP", "DEEPSPEED", "MEGATRON_LM") if os.environ.get(f"ACCELERATE_USE_{kind}") == "true"
    ]
    fsdp = {name.lower(): value for name, value in os.environ.items() if name.startswith("FSDP_")}
    said = Said((kinds or ["MULTI_GPU"])[0], fsdp, os.environ["ACCELERATE_MIXED_PRECISION"], None)
    _refuse(said, "accelerate launch", settings, dtype)


def read(path: Path) -> Said:
    """What a file says. Raises RecipeError when it is not accelerate's."""
    try:
        data = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"train.launcher: {path} cannot be read: {error}") from error
    if not isinstance(data, dict) or "distributed_type" not in data:
        raise RecipeError(f"train.launcher: {path} is no file of accelerate's, since it has no distributed_type")
    sharing = data.get("fsdp_config") or {}
    if not isinstance(sharing, dict):
        raise RecipeError(f"train.launcher: {path} is no file of accelerate's, since its fsdp_config has no settings")
    fsdp = {str(name): str(value).lower() for name, value in sharing.items()}
    processes = data.get("num_processes")
    return Said(
        str(data["distributed_type"]),
        {name if name.startswith("fsdp_") else f"fsdp_{name}": value for name, value in fsdp.items()},
        str(data.get("mixed_precision") or "no"),
        processes if isinstance(processes, int) and processes > 0 else None,
    )


def _options(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--config_file", "--config-file")
    parser.add_argument("--num_processes", "--num-processes", type=int)
    try:
        return parser.parse_known_args(list(words[2:]))
    except argparse.ArgumentError as error:
        raise RecipeError(f"train.launcher: {error}") from error


def _file(name: str | None) -> Path | None:
    """The file of that name, a shipped one unless there is one here; without a name the user's own default, if any."""
    if name is None:
        from accelerate.commands.config.config_args import default_config_file

        return Path(default_config_file) if Path(default_config_file).is_file() else None
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if name.removesuffix(".yaml") in SHIPPED:
        return SHIPPED[name.removesuffix(".yaml")]
    raise RecipeError(
        f"train.launcher: there is no file {name}: give its path, or one of {', '.join(SHIPPED)}, which are shipped "
        "(sena has no DeepSpeed and no FSDP of version 1: fsdp2 shares out the same)"
    )


def _refuse(said: Said, where: str, settings: TrainConfig, dtype: str) -> None:
    fault = _fault(said, settings, dtype)
    if fault:
        raise RecipeError(f"{where} {fault}")


def _fault(said: Said, settings: TrainConfig, dtype: str) -> str:
    """Why ranks would not train as accelerate was told, with the mend; empty when they would."""
    if said.kind == "FSDP":
        fault = _fault_of_shards(said.fsdp, settings)
        if fault:
            return fault
    elif said.kind not in REPLICAS:
        return (
            f"is for {said.kind}, which sena has not: take fsdp2 with train.parallel=fsdp2, which shares out the same"
        )
    elif settings.parallel == "fsdp2":
        return f"is for whole replicas ({said.kind}), and train.parallel is fsdp2: take fsdp2, or train.parallel=ddp"
    if said.precision != "no" and PRECISIONS.get(said.precision) != dtype:
        return f"says mixed_precision: {said.precision}, and model.dtype makes {dtype}: let them agree, or leave it out"
    return ""


def _fault_of_shards(fsdp: Mapping[str, Any], settings: TrainConfig) -> str:
    if settings.parallel != "fsdp2":
        return f"is for FSDP, and train.parallel is {settings.parallel}: set train.parallel=fsdp2, or take multi_gpu"
    if fsdp.get("fsdp_version", "1") != "2":
        return "is for FSDP of version 1, which sena has not: set fsdp_version to 2, or take fsdp2"
    if fsdp.get("fsdp_offload_params") == "true":
        return "keeps weights in main memory (fsdp_offload_params), which sena does not: set it to false"
    if fsdp.get("fsdp_activation_checkpointing") == "true" and settings.gradient_checkpointing is not True:
        return "computes activations twice (fsdp_activation_checkpointing): set train.gradient_checkpointing=true too"
    return ""
