"""A round's model, or the adapter that it learned, in a folder of its own: what `sena export --to merged` does."""

from __future__ import annotations

import gc
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image

from sena import copies, files
from sena.align import modes
from sena.errors import RunFolderError, SenaError
from sena.models import adapters, encode, positions
from sena.models.load import load, load_config
from sena.models.vlm import VLM
from sena.runs.folder import RoundFolder, RunFolder, open_run

ROUNDING = {"float32": 1e-4, "float16": 0.01, "bfloat16": 0.05}
"""Largest difference of logits, as a share of their length, that merging in this precision may make."""
_CARD = """---
library_name: peft
{head}tags:
- sena
- dpo
- lora
---

# The adapter of one round of self-evolution

Made by [sena](https://arxiv.org/abs/2412.15650) beside `{base}`, the model that the round started from. Add it to that
model and to no other: `peft.PeftModel.from_pretrained(base, this_folder)`, or `sena ask THIS_FOLDER photo.jpg "..."`.
"""


@dataclass(frozen=True, slots=True)
class ExportedModel:
    """Where it is, and of which round. With an adapter: how far merged logits are from those of base and adapter, and
    how far from the base's, both as a share of their length."""

    folder: Path
    round: int
    gap: float | None = None
    moved: float | None = None


def export_model(
    run: str | Path, kind: Literal["merged", "adapter"], out: str | Path, round: int | None = None
) -> ExportedModel:
    """Copy the model (`merged`) or the adapter of one round, the last finished one unless it is named, into `out`.

    Where the round learned an adapter, its sum with the base is compared with the merged model first. Raises SenaError
    for a round that has none, a base that is gone, a folder in use, and for sums that differ by more than rounding.
    """
    folder, target = _round(open_run(Path(run)), round), Path(out).expanduser()
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise SenaError(f"{target} holds other files: choose an empty or new folder for --out")
    copies.fetch(folder.model)
    has_adapter = (copies.fetch(folder.adapter) / adapters.SETTINGS).is_file()
    if kind == "adapter" and not has_adapter:
        raise SenaError(f"Round {folder.number} of {run} was trained in full and has no adapter: take --to merged")
    if has_adapter:
        copies.fetch(adapters.base_of(folder.adapter))
    found = compare(folder) if has_adapter else (None, None)
    files.make_folder(target, lambda place: _fill(place, folder, kind))
    return ExportedModel(target, folder.number, *found)


def compare(folder: RoundFolder) -> tuple[float, float]:
    """Length of the difference between the logits of the merged model and those of base and adapter, and between the
    latter and the base's, each as a share of their length. Raises SenaError when the first is more than rounding."""
    dtype = str(load_config(str(folder.model)).dtype).removeprefix("torch.")
    sums = _logits(load(str(folder.model), dtype))
    gc.collect()
    base = load(adapters.base_of(folder.adapter), dtype)
    before = _logits(base)
    base.model = adapters.unmerged(base.model, folder.adapter)
    beside = _logits(base)
    gap, moved = (float((one - beside).norm() / beside.norm()) for one in (sums, before))
    if not gap <= ROUNDING[dtype]:
        raise SenaError(
            f"{folder.model} is not its base with {folder.adapter}: their logits differ by {gap:.2g} of their length, "
            f"where rounding makes {ROUNDING[dtype]:g}; one of them was changed since the round"
        )
    return gap, moved


def _logits(vlm: VLM) -> torch.Tensor:
    """[T, V] in float64 on the CPU, of a picture of colours and a question about it."""
    shades = bytes((17 * place) % 256 for place in range(3 * 32 * 32))
    pixels = encode.process(vlm, Image.frombytes("RGB", (32, 32), shades))
    ids = torch.tensor([encode.prompt_ids(vlm, "What is in this picture?", pixels)], device=vlm.device)
    extra: dict[str, Any] = encode.stack([pixels], vlm.device, vlm.dtype)
    with modes.scoring(vlm):
        return vlm.model(input_ids=ids, **positions.kinds(vlm, ids), **extra).logits[0].double().cpu()


def _fill(place: Path, folder: RoundFolder, kind: Literal["merged", "adapter"]) -> None:
    source = folder.model if kind == "merged" else folder.adapter
    for file in sorted(source.iterdir()):
        shutil.copyfile(file, place / file.name)
    if kind == "adapter":
        base = adapters.base_of(folder.adapter)
        if adapters.is_adapter(base):
            raise SenaError(
                f"Round {folder.number} started from the adapter {base}, not from a model: take --to merged"
            )
        said = files.read_json(place / adapters.SETTINGS)
        files.write_json(place / adapters.SETTINGS, {**said, "base_model_name_or_path": base})
        head = "" if Path(base).is_dir() else f"base_model: {base}\n"  # the hub takes only names of its own here
        files.write_text(place / "README.md", _CARD.format(base=base, head=head))


def _round(run: RunFolder, number: int | None) -> RoundFolder:
    ready = {each.number: each for each in run.rounds() if each.training.is_file()}
    where = copies.named(run.path)
    if not ready:
        raise RunFolderError(f"{where} has no trained round yet: go on with it (sena evolve --out {where})")
    if number is None:
        return ready[max(ready)]
    if number not in ready:
        raise RunFolderError(f"{where} has no model of round {number}: give --round {', '.join(map(str, ready))}")
    return ready[number]
