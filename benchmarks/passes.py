"""The passes that a run consists of, each by itself and timed: what `limits.py` and `schedule.py` share."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import generate
import small_llava
from count import Load
from sena.align import forest, modes, work
from sena.align.config import TrainConfig
from sena.align.eight_bit import AdamW8bit
from sena.align.optimizer import AdamW, Optimizer
from sena.align.plain import Encoded, encode_pairs
from sena.align.tree_forward import TreeForward
from sena.models.vlm import VLM
from sena.records import Pair
from sena.stages import StagesConfig
from train_sides import Clock


def fastest(action: Callable[[], object], repeats: int, on_disk: bool = False) -> float:
    """Seconds of the fastest of `repeats` runs, behind one that warms up. What is `on_disk` is timed on the wall."""
    clock, times = Clock(), list[float]()
    for _ in range(repeats + 1):
        clock.read()
        action()
        times.append(clock.read()[0 if on_disk else counted()])
    return min(times[1:])


def counted() -> int:
    """Which of a clock's two times is counted: the processor's where one thread does it all, so that what else the
    machine is busy with counts little; else the one on the wall."""
    return int(not torch.cuda.is_available() and torch.get_num_threads() == 1)


def told() -> str:
    return ("wall-clock", "processor")[counted()]


@dataclass(frozen=True, slots=True)
class Trees:
    """Pairs as the trainer takes them: encoded, and cut into batches of trees."""

    encoded: list[Encoded]
    batches: list[list[int]]
    forward: TreeForward

    @classmethod
    def plant(cls, vlm: VLM, pairs: Sequence[Pair], batch_tokens: int) -> Trees:
        encoded, forward = encode_pairs(vlm, pairs, noise), TreeForward(batch_tokens)
        return cls(encoded, forward.cut(encoded), forward)

    def score(self, vlm: VLM) -> None:
        """The reference's pass."""
        with modes.scoring(vlm):
            for numbers in self.batches:
                self.forward(vlm, [self.encoded[number] for number in numbers])

    def learn(self, policy: VLM) -> None:
        """Forward and backward of all pairs. The gradients are dropped."""
        for numbers in self.batches:
            found = self.forward(policy, [self.encoded[number] for number in numbers])
            (found.rejected - found.chosen).sum().backward()
        policy.model.zero_grad(set_to_none=True)

    def load(self) -> Load:
        """What that puts through the model, padding left out."""
        trees = [forest.plant([self.encoded[number] for number in group]) for group in forest.by_image(self.encoded)]
        predicted = sum(len({place for answer in tree.answers for place in answer.places}) for tree in trees)
        return Load(len(trees), work.total(work.of_tree(tree.tree) for tree in trees), predicted)


def noise(name: str) -> Image.Image:
    """A picture of 336 x 336 that depends on its name alone."""
    random = np.random.default_rng(list(name.encode()))
    return Image.fromarray(random.integers(0, 256, (336, 336, 3), dtype=np.uint8))


def train_settings(vlm: VLM) -> TrainConfig:
    """The recipe's, with the optimizer whose states fit beside a 7B where that is the model: the 8-bit one."""
    is_large = sum(each.numel() for each in vlm.model.parameters()) > 10**9
    return TrainConfig(optimizer="adamw_8bit" if is_large else "adamw")


def prepare_policy(vlm: VLM) -> VLM:
    """The model as the trainer has it in full training: tower frozen, checkpointing where the memory asks for it."""
    policy, settings = modes.prepare_full(vlm), train_settings(vlm)
    modes.set_training(policy, settings.gradient_checkpointing, settings.optimizer)
    return policy


def optimizer(policy: VLM, settings: TrainConfig) -> Optimizer:
    weights = modes.learning(policy)
    return AdamW8bit(weights, settings, 0) if settings.optimizer == "adamw_8bit" else AdamW(weights, settings)


def parser(about: str) -> argparse.ArgumentParser:
    """The flags that both commands have."""
    made = argparse.ArgumentParser(description=about)
    made.add_argument("--small", action="store_true", help="the 64 M LLaVA and few repeats: a minute or two on a CPU")
    made.add_argument("--model", type=Path, help="a LLaVA in Hugging Face layout instead of one with random weights")
    made.add_argument("--device", default="auto", help="cpu or cuda; the GPU when there is one")
    made.add_argument("--dtype", default="auto", help="float32, bfloat16 or float16; float32 on a CPU, else bfloat16")
    made.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    made.add_argument("--json", type=Path, help="write all figures there")
    return made


@contextmanager
def opened(options: argparse.Namespace, pictures: int, size: str) -> Iterator[Bench]:
    """The model that the options name, and pictures on the disk, which goes away at the end."""
    if size == "7b" and options.model is None and not torch.cuda.is_available():
        sys.exit("LLaVA-1.5-7B wants a GPU of 80 GB, and torch sees none: take --small")
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        images, config = generate.prepare(folder, pictures)
        save = small_llava.save_7b if size == "7b" else small_llava.save
        model = options.model or generate.make_model(folder / "model", config, save)
        vlm = generate.open_model(model, options.device, options.dtype)
        yield Bench(vlm, folder, [image.id for image in images], config)


@dataclass(frozen=True, slots=True)
class Bench:
    """A model, `folder` with its pictures (ID.jpg), their ids, and the stages of the data half."""

    vlm: VLM
    folder: Path
    images: list[str]
    stages: StagesConfig

    def open_image(self, name: str) -> Image.Image:
        return Image.open(self.folder / f"{name}.jpg").convert("RGB")
