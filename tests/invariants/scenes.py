"""What ranks do in tests: the same code whether there is one of them or several."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from PIL import Image
from safetensors.torch import save_file
from torch.distributed.tensor import DTensor

from sena.align import checkpoint, modes, parallel, plain, reference, selftest, trainer
from sena.align import ranks as sena_ranks
from sena.align.metrics import StepMetrics
from sena.align.reference import Reference
from sena.align.tree_forward import TreeForward
from sena.errors import SenaError
from sena.models.load import load
from sena.models.vlm import VLM
from tests.align.world import LOSS, open_image, settings, some_pairs

PAIRS = some_pairs(images=9)
KINDS: dict[str, dict[str, Any]] = {
    "tree": {},
    "plain": {"packing": "plain", "weight_decay": 0.1},
    "lora": {"lora": True},
    "eight_bit": {"optimizer": "adamw_8bit"},
    "fsdp2": {"parallel": "fsdp2"},
    "recomputed": {"parallel": "fsdp2", "gradient_checkpointing": True, "packing": "plain", "weight_decay": 0.1},
    "frozen": {"parallel": "fsdp2", "projector_learning_rate": 0},
    "tied": {"parallel": "fsdp2"},
    "lora_fsdp2": {"parallel": "fsdp2", "lora": True},
}
FEW = ("tree", "eight_bit", "fsdp2", "lora_fsdp2")
STOPPED = ("tree", "fsdp2", "lora_fsdp2")
"""Kinds that one number of ranks begins and another one ends."""


class Stopped(Exception):
    """Stands for a kill."""


def here() -> tuple[int, int]:
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def fresh(place: Path, kind: str) -> VLM:
    dtype = "bfloat16" if kind == "eight_bit" else "float32"
    return load(str(place / ("tied" if kind == "tied" else "model")), dtype, "cpu")


def learn(
    place: Path,
    kind: str,
    name: str = "",
    on_step: Callable[[StepMetrics], None] = lambda step: None,
    scored_by: int = 0,
) -> None:
    """References and policy of 18 pairs of 9 pictures in 6 steps of 4, 4 and 1 pictures, twice.

    The first rank leaves weights and metrics under `name`, each rank a hash of its weights where it has them whole.
    `scored_by` takes the references that so many ranks have made.
    """
    rank, size = here()
    name = name or f"{kind}-{size}"
    chosen = settings(**{"epochs": 2, "save_every": 2, "pairs_per_step": 8, **KINDS[kind]})
    vlm, told = fresh(place, kind), list[StepMetrics]()

    def tell(step: StepMetrics) -> None:
        told.append(step)
        on_step(step)

    forward = selftest.choose_forward(vlm, chosen.train, PAIRS, open_image)
    found = reference.compute(vlm, PAIRS, open_image, place / f"reference-{kind}-{scored_by or size}", 3, forward)
    data = trainer.Preferences(PAIRS, open_image, found, LOSS)
    policy, summary = trainer.train(vlm, data, chosen, 3, place / f"checkpoints-{name}", tell, forward)
    state = {name: tensor.clone() for name, tensor in policy.model.state_dict().items()}
    if rank == 0:
        save_file(state, place / f"{name}.safetensors")
        lines = [{**each.named(), "resumed_at": summary.resumed_at} for each in told]
        (place / f"{name}.json").write_text(json.dumps(lines))
    if chosen.train.parallel == "ddp":
        raw = b"".join(state[name].flatten().view(torch.uint8).numpy().tobytes() for name in sorted(state))
        (place / f"{name}-rank{rank}.hash").write_text(hashlib.sha256(raw).hexdigest())


def every_kind(place: Path) -> None:
    for kind in KINDS:
        learn(place, kind)


def few_kinds(place: Path) -> None:
    for kind in FEW:
        learn(place, kind)


def stop(place: Path) -> None:
    """Of several ranks: leaves checkpoints after 2 steps, written by those that then end in the fourth step."""
    for kind in STOPPED:
        stop_one(place, kind, f"{kind}-begun-by-{here()[1]}")


def stop_one(place: Path, kind: str, name: str) -> None:
    def end(step: StepMetrics) -> None:
        if step.step == 3:
            raise Stopped

    try:
        learn(place, kind, name, end, scored_by=1)
    except Stopped:
        return
    raise AssertionError("it was to stop")


def go_on(place: Path, begun_by: int = 1) -> None:
    """Go on from what one rank left."""
    for kind in STOPPED:
        learn(place, kind, f"{kind}-begun-by-{begun_by}", scored_by=1)


def go_on_from_four(place: Path) -> None:
    go_on(place, 4)


def count_held(place: Path) -> None:
    """How many numbers of the model outside the tower each rank holds, for every kind that cuts it."""
    ranks = sena_ranks.here()
    for kind in ("fsdp2", "lora_fsdp2"):
        vlm = fresh(place, kind)
        policy = modes.prepare_lora(vlm, settings(lora=True).lora, 3) if "lora" in kind else modes.prepare_full(vlm)
        parallel.choose(policy, "fsdp2", ranks)
        tower = {id(weight) for weight in modes.tower(policy.model).parameters()}
        held = {"cut": 0, "whole": 0}
        for weight in policy.model.parameters():
            if id(weight) not in tower:
                local = weight.to_local() if isinstance(weight, DTensor) else weight
                held["cut" if isinstance(weight, DTensor) else "whole"] += local.numel()
        (place / f"held-{kind}-{ranks.rank}.json").write_text(json.dumps(held))


def mishaps(place: Path) -> None:
    """What goes wrong on one rank, one thing after the other. Each rank notes what it comes to know of it."""
    rank, _ = here()
    told = {name: _outcome(mishap, place) for name, mishap in MISHAPS.items()}
    (place / f"mishaps-{rank}.json").write_text(json.dumps(told))


def _outcome(mishap: Callable[[Path], str], place: Path) -> list[str]:
    try:
        return ["well", mishap(place)]
    except Exception as error:
        return [type(error).__name__, str(error)]


def no_memory_for_shards(place: Path) -> None:
    """Rank 1 runs out of memory in the middle of a step whose layers all ranks put together."""
    calls = [0]

    def forward(vlm: VLM, pairs: Sequence[plain.Encoded]) -> plain.LogProbs:
        calls[0] += 1
        if here()[0] == 1 and calls[0] == 2:
            raise torch.OutOfMemoryError
        return plain.log_probabilities(vlm, pairs)

    _train(place, forward, parallel="fsdp2")


def _train(
    place: Path,
    forward: plain.Forward,
    pictures: plain.OpenImage = open_image,
    shift: float = 0.0,
    parallel: str = "ddp",
) -> str:
    """Steps of 8 pairs over 4 pictures, a checkpoint behind each. What was told of the first."""
    vlm = fresh(place, "tree")
    found = reference.compute(vlm, PAIRS, open_image, place / "reference-tree-2", 3, TreeForward(4096))
    moved = {name: Reference(each.chosen + shift, *each[1:]) for name, each in found.items()}
    data, told = trainer.Preferences(PAIRS, pictures, moved, LOSS), list[StepMetrics]()
    chosen = settings(save_every=1, pairs_per_step=8, parallel=parallel)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        trainer.train(vlm, data, chosen, 3, Path(folder), told.append, forward)
    return f"{told[0].loss:.5f} {told[0].halvings}"


def _no_picture(place: Path) -> str:
    calls = [0]

    def open_once(image: str) -> Image.Image:
        calls[0] += 1
        if here()[0] == 1 and calls[0] > 1:
            raise SenaError(f"the picture of {image} is gone")
        return open_image(image)

    return _train(place, TreeForward(4096), open_once)


def _no_number(place: Path) -> str:
    """One pair gets no number, on the rank that has it."""

    def forward(vlm: VLM, pairs: Sequence[plain.Encoded]) -> plain.LogProbs:
        found = plain.log_probabilities(vlm, pairs)
        bad = torch.tensor([float("nan") if each.pair.id == "pair30" else 0.0 for each in pairs])
        return found._replace(chosen=found.chosen + bad)

    return _train(place, forward)


def _no_memory(place: Path) -> str:
    """On rank 1 for more than one pair at a time."""

    def forward(vlm: VLM, pairs: Sequence[plain.Encoded]) -> plain.LogProbs:
        if here()[0] == 1 and len(pairs) > 1:
            raise torch.OutOfMemoryError
        return plain.log_probabilities(vlm, pairs)

    return _train(place, forward)


def _no_memory_at_all(place: Path) -> str:
    def forward(vlm: VLM, pairs: Sequence[plain.Encoded]) -> plain.LogProbs:
        if here()[0] == 1:
            raise torch.OutOfMemoryError
        return plain.log_probabilities(vlm, pairs)

    return _train(place, forward)


def _other_reference(place: Path) -> str:
    return _train(place, TreeForward(4096), shift=0.5)


def _no_disk(place: Path) -> str:
    kept = checkpoint.save
    checkpoint.save = lambda *_: (_ for _ in ()).throw(SenaError("the disk is full"))  # type: ignore[assignment]
    try:
        return _train(place, TreeForward(4096))
    finally:
        checkpoint.save = kept


def _no_trees(place: Path) -> str:
    """Rank 1 alone finds that its model cannot take a tree."""
    kept = selftest.find_fault
    selftest.find_fault = lambda *given: "it cannot" if here()[0] == 1 else kept(*given)
    try:
        chosen = selftest.choose_forward(fresh(place, "tree"), settings().train, PAIRS, open_image)
    finally:
        selftest.find_fault = kept
    return "plain" if chosen is plain.log_probabilities else "trees"


MISHAPS = {
    "no picture": _no_picture,
    "no number": _no_number,
    "no memory": _no_memory,
    "no memory at all": _no_memory_at_all,
    "other reference": _other_reference,
    "no disk": _no_disk,
    "no trees": _no_trees,
}
