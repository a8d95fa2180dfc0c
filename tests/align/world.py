"""A handful of pairs about small pictures, enough to train a tiny model on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from sena.align import reference, trainer
from sena.align.config import AlignmentConfig, AlignSettings, DpoConfig, LoraConfig, TrainConfig
from sena.align.losses import Loss
from sena.models.vlm import VLM
from sena.recipes import names
from sena.records import Pair

WORDS = ("a red cup", "two dogs", "no", "a bus by the sea", "green", "nothing at all", "ok")


def open_image(image: str) -> Image.Image:
    """A picture of noise that depends on the image's name alone."""
    noise = np.random.default_rng([ord(letter) for letter in image])
    return Image.fromarray(noise.integers(0, 256, (20, 24, 3), dtype=np.uint8))


def some_pairs(images: int = 4, each: int = 2) -> list[Pair]:
    """Descriptions and answers in turn, of different lengths."""
    return [
        Pair(
            id=f"pair{image}{number}",
            row_id=f"row{image}",
            image_id=f"image{image}",
            kind="description" if number % 2 == 0 else "answer",
            prompt="Describe it." if number % 2 == 0 else f"What is thing {number}?",
            chosen=WORDS[(image + number) % len(WORDS)],
            rejected=WORDS[(image + number + 3) % len(WORDS)],
        )
        for image in range(images)
        for number in range(each)
    ]


def settings(mean: str = "all_pairs", weight: float = 1.0, lora: bool = False, **train: object) -> AlignSettings:
    """Small steps at a rate that shows; `train` overrides."""
    chosen = {"learning_rate": 1e-3, "schedule": "constant", "warmup": 0, "pairs_per_step": 4, "pairs_per_batch": 2}
    chosen |= {"method": "lora" if lora else "full"} | train
    return AlignSettings(
        alignment=AlignmentConfig.model_validate({"mean": mean, "weight": weight}),
        train=TrainConfig.model_validate(chosen),
        lora=LoraConfig(r=4, alpha=8),
    )


LOSS = names.loss(DpoConfig())
"""That of `settings`."""


def preferences(vlm: VLM, folder: Path, pairs: list[Pair] | None = None, loss: Loss = LOSS) -> trainer.Preferences:
    """Pairs with references by `vlm`, stored in `folder`."""
    pairs = some_pairs() if pairs is None else pairs
    return trainer.Preferences(pairs, open_image, reference.compute(vlm, pairs, open_image, folder, 3), loss)
