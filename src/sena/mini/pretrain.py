"""Makes a miniature base model from scratch: `python -m sena.mini.pretrain --seed 1 --out DIR`.

The eye learns first, the tongue after it, both from true labels and captions only. Nothing of the other pools is read.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sena.mini import world


@dataclass(frozen=True, slots=True)
class Plan:
    """How a base is made. The shipped one follows these numbers with seed 1."""

    seed: int = 1
    eye_scenes: int = 30_000
    eye_steps: int = 1_500
    tongue_scenes: int = 30_000
    tongue_steps: int = 3_000
    faint_from: int = 2_200
    noise_share: float = 0.25
    threads: int = 2


def scenes_from(first: int, count: int, together: float | None = None) -> list[world.Scene]:
    return [world.make_scene("pretrain", index, together) for index in range(first, first + count)]


def paintings(scenes: list[world.Scene], faint: float | None = None) -> np.ndarray:
    """uint8 [N, 48, 48, 3]"""
    return np.stack([world.paint(scene, faint) for scene in scenes])


def make_base(plan: Plan, log: Callable[[str], None] = print):
    """A trained model. The eye sees companions evenly, so that it has no opinion on what stands together."""
    import torch

    from sena.mini import build, eye, lessons, tongue

    torch.set_num_threads(plan.threads)
    start = time.monotonic()

    def note(line: str) -> None:
        log(f"{time.monotonic() - start:5.0f} s  {line}")

    model = build.make_model(plan.seed)
    scenes = scenes_from(1_000_000 * plan.seed, plan.eye_scenes, together=0.5)
    tower, labels = model.model.vision_tower, eye.cell_labels(scenes)
    eye.train_eye(tower, paintings(scenes, faint=0.0), labels, steps=plan.eye_steps, seed=plan.seed, log=note)
    scenes = scenes_from(1_000_000 * plan.seed + 500_000, plan.tongue_scenes)
    both = paintings(scenes, faint=0.0), paintings(scenes)
    tutor = lessons.Tutor(lessons.presence(scenes))
    course = tongue.Course(plan.tongue_steps, plan.faint_from, noise_share=plan.noise_share, seed=plan.seed)
    tongue.train_tongue(
        model, scenes, both, tutor, course, lambda step, loss: note(f"tongue {step:5d}  loss {loss:.3f}")
    )
    return model.requires_grad_(True).eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=Plan().seed)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=Plan().threads)
    options = parser.parse_args()
    from sena.mini import build, card

    model = make_base(Plan(seed=options.seed, threads=options.threads), lambda line: print(line, flush=True))
    build.save(model, options.out)
    count = sum(weight.numel() for weight in model.parameters())
    made = f"Made from scratch by `python -m sena.mini.pretrain --seed {options.seed}`."
    print(f"{options.out}: weights sha256 {card.write_card(options.out, count, made)}")


if __name__ == "__main__":
    main()
