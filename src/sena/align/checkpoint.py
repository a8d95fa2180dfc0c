"""Checkpoints in the middle of a round: safetensors and JSON, nothing that needs unpickling.

A checkpoint `step-000020/` is complete when its manifest exists, which is written last; what has none is swept away.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from sena import copies, files
from sena.align.optimizer import Optimizer
from sena.errors import RunFolderError

VERSION = 1
TENSORS, MANIFEST = "tensors.safetensors", "manifest.json"


class Found(NamedTuple):
    """A complete checkpoint: its folder and how many optimizer steps are behind it."""

    folder: Path
    steps: int


def save(folder: Path, optimizer: Optimizer, key: str, whole: Mapping[str, torch.Tensor] | None = None) -> Path:
    """Write the state after `optimizer.steps` steps, then remove older checkpoints.

    `key` stands for data and settings; only a run with the same key may go on from here. `whole` are the optimizer's
    tensors where it holds but parts of them, so that a checkpoint never shows how many ranks wrote it.
    """
    place = folder / f"step-{optimizer.steps:06d}"
    given = optimizer.tensors() if whole is None else whole
    tensors = {name: tensor.detach().contiguous() for name, tensor in given.items()}
    tensors |= _random_states()
    files.remove(place / MANIFEST)
    files.write_with(place / TENSORS, lambda path: _write(tensors, path))
    files.write_json(place / MANIFEST, {"version": VERSION, "steps": optimizer.steps, "key": key})
    for other in folder.glob("step-*"):
        if other != place:
            _remove(other)
    return place


def find(folder: Path, key: str) -> Found | None:
    """The newest complete checkpoint, or None. Raises RunFolderError when it belongs to other data or settings."""
    complete = sorted(folder.glob(f"step-*/{MANIFEST}"))
    if not complete:
        return None
    manifest = files.read_json(complete[-1])
    if manifest["version"] != VERSION:
        raise RunFolderError(f"{complete[-1].parent} was written by another version of sena: remove it to train anew")
    if manifest["key"] != key:
        raise RunFolderError(
            f"{complete[-1].parent} was made with other pairs or settings: give them back, or remove it to train anew"
        )
    return Found(complete[-1].parent, manifest["steps"])


def restore(
    found: Found, optimizer: Optimizer, own: Callable[[torch.Tensor], torch.Tensor] = lambda whole: whole
) -> None:
    """Put weights, optimizer and random states back to what they were when the checkpoint was written.

    `own` gives the part of a tensor that this rank's optimizer holds.
    Raises RunFolderError when the tensors are not those of this model.
    """
    tensors = load_file(copies.fetch(found.folder / TENSORS))
    wanted = optimizer.tensors()
    if {name for name in tensors if not name.startswith("random/")} != set(wanted):
        raise RunFolderError(f"{found.folder} holds another model's weights: remove it to train anew")
    optimizer.restore({name: own(tensors[name]) for name in wanted}, found.steps)
    torch.set_rng_state(tensors["random/cpu"])
    if "random/cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random/cuda"])


def clear(folder: Path) -> None:
    """Remove all checkpoints: for when the trained model is safely stored."""
    for place in folder.glob("step-*"):
        _remove(place)
    copies.remove_folder(folder)  # and what a kill left in the store


def _random_states() -> dict[str, torch.Tensor]:
    states = {"random/cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["random/cuda"] = torch.cuda.get_rng_state()
    return states


def _write(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """`save_file`, whose error for a full disk is no OSError, made one."""
    try:
        save_file(tensors, path)
    except SafetensorError as error:
        full = "os error 28" in str(error)
        raise OSError(errno.ENOSPC if full else errno.EIO, str(error)) from error


def _remove(place: Path) -> None:
    """Manifest first, so that a kill in between leaves something that counts as incomplete."""
    files.remove(place / MANIFEST)
    copies.remove_folder(place)
    shutil.rmtree(place, ignore_errors=True)
