"""Does the eye see the companion? A linear reading of a cell's features, tried on pictures it was not trained on.

Shapes: H host cells, D features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sena.mini import build, eye, world

TRAINED_ON, TRIED_ON = 1200, 600


def host_cells(tower: Any, first: int, count: int, step: int) -> tuple[Tensor, Tensor]:
    """Features [H, D] of all host cells of some tuning scenes, and whether the companion is there, float [H].

    Companions stand there half of the time here, so that guessing is worth one half.
    """
    scenes = [world.make_scene("tuning", index, 0.5) for index in range(first, first + count)]
    pixels = torch.from_numpy(build.normalise(np.stack([world.paint(scene) for scene in scenes])))
    generator = torch.Generator().manual_seed(first + step + 1)
    with torch.no_grad():
        seen = eye.features(tower, eye.add_noise(pixels, torch.full((count,), step), generator))
    labels = torch.from_numpy(eye.cell_labels(scenes))[..., 2]
    hosts = labels != eye.IGNORED
    return seen[hosts], (labels[hosts] > 0).float()


def companion_probe(model: Any, step: int = -1) -> float:
    """Accuracy of a logistic reading of `is the companion there`, on features at a noise step (-1: clean)."""
    tower = model.model.vision_tower
    torch.manual_seed(0)
    features, truth = host_cells(tower, 100_000, TRAINED_ON, step)
    mean, spread = features.mean(0), features.std(0) + 1e-6
    reading = nn.Linear(features.shape[1], 1)
    optimizer = torch.optim.Adam(reading.parameters(), lr=0.02, weight_decay=1e-3)
    for _ in range(300):
        guess = reading((features - mean) / spread)[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(guess, truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    features, truth = host_cells(tower, 200_000, TRIED_ON, step)
    with torch.no_grad():
        said = reading((features - mean) / spread)[:, 0] > 0
    return float((said == (truth > 0.5)).float().mean())
