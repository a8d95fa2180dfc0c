"""The eye of the miniature: the vision tower learns to name kind, colour and companion of each cell.

Captions alone hardly teach shapes, so the tower goes first, as CLIP does for LLaVA. Half of its pictures carry
diffusion noise, and companions come and go evenly, so that the eye has no opinion about what usually stands together.

Shapes: B pictures, C = 9 cells, D features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sena.mini import build, world
from sena.mini.world import Scene

KIND_ID = {kind: number + 1 for number, kind in enumerate(world.KINDS)}
COLOUR_ID = {colour: number + 1 for number, colour in enumerate(world.COLOURS)}
COMPANION_ID = {word: number + 1 for number, word in enumerate(world.COMPANIONS.values())}
IGNORED = -100


def cell_labels(scenes: list[Scene]) -> np.ndarray:
    """Kind, colour and companion of each cell, int64 [B, C, 3]; 0 is none, -100 (no host here) does not count."""
    labels = np.zeros((len(scenes), 9, 3), dtype=np.int64)
    labels[:, :, 2] = IGNORED
    for row, scene in enumerate(scenes):
        for thing in scene.things:
            companion = COMPANION_ID.get(thing.companion or "", 0) if thing.kind in world.HOSTS else IGNORED
            labels[row, thing.cell] = KIND_ID[thing.kind], COLOUR_ID[thing.colour], companion
    return labels


class CellHeads(nn.Module):
    """Three linear readings of a cell's features. They are thrown away once the eye is trained."""

    def __init__(self, width: int) -> None:
        super().__init__()
        sizes = (len(KIND_ID), len(COLOUR_ID), len(COMPANION_ID))
        self.heads = nn.ModuleList(nn.Linear(width, size + 1) for size in sizes)

    def forward(self, features: Tensor) -> list[Tensor]:
        """[B, C, D] to three logits [B, C, classes]."""
        return [head(features) for head in self.heads]


def add_noise(pixels: Tensor, steps: Tensor, generator: torch.Generator) -> Tensor:
    """Diffusion noise at a step of its own for each picture: pixels [B, 3, 48, 48], steps int64 [B]; -1 means none."""
    kept = torch.from_numpy(build.kept_signal()).float()[steps.clamp(min=0)]
    kept = torch.where(steps < 0, torch.ones_like(kept), kept).view(-1, 1, 1, 1)
    draw = torch.randn(pixels.shape, generator=generator)
    return kept.sqrt() * pixels + (1.0 - kept).sqrt() * draw


def noise_steps(count: int, share: float, generator: torch.Generator) -> Tensor:
    """A step from 0 to 850 for about `share` of the pictures, -1 for the others, int64 [count]."""
    steps = torch.randint(0, 851, (count,), generator=generator)
    return torch.where(torch.rand(count, generator=generator) < share, steps, torch.full_like(steps, -1))


def features(tower: Any, pixels: Tensor) -> Tensor:
    """What the language side gets to see: the last hidden states without the class token, [B, C, D]."""
    return tower(pixel_values=pixels).last_hidden_state[:, 1:]


def train_eye(
    tower: Any,
    pictures: np.ndarray,
    labels: np.ndarray,
    *,
    steps: int,
    seed: int,
    log: Callable[[str], None],
) -> CellHeads:
    """Train the tower on uint8 pictures [N, 48, 48, 3] with labels [N, C, 3]; the readings are returned for probing."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    heads = CellHeads(tower.config.hidden_size)
    optimizer = torch.optim.AdamW([*tower.parameters(), *heads.parameters()], lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.5e-3, total_steps=steps, pct_start=0.1)
    truth = torch.from_numpy(labels)
    tower.train()
    for step in range(steps):
        rows = torch.randint(0, len(pictures), (128,), generator=generator)
        pixels = torch.from_numpy(build.normalise(pictures[rows.numpy()]))
        noised = add_noise(pixels, noise_steps(len(rows), 0.5, generator), generator)
        logits = heads(features(tower, noised))
        parts = [
            nn.functional.cross_entropy(guess.flatten(0, 1), truth[rows][..., column].flatten(), ignore_index=IGNORED)
            for column, guess in enumerate(logits)
        ]
        loss = parts[0] + parts[1] + parts[2]
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            log(f"eye {step:5d}  kind {parts[0]:.3f}  colour {parts[1]:.3f}  companion {parts[2]:.3f}")
    return heads


@torch.no_grad()
def read_eye(tower: Any, heads: CellHeads, pictures: np.ndarray, labels: np.ndarray, step: int) -> dict[str, float]:
    """Accuracy of kind and colour (cells with a thing) and of the companion's presence (cells with a host)."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.from_numpy(build.normalise(pictures))
    noised = add_noise(pixels, torch.full((len(pixels),), step), generator)
    kind, colour, companion = (guess.argmax(-1).numpy() for guess in heads(features(tower, noised)))
    there, host = labels[..., 0] > 0, labels[..., 2] != IGNORED
    return {
        "kind": float((kind == labels[..., 0])[there].mean()),
        "colour": float((colour == labels[..., 1])[there].mean()),
        "empty": float((kind == 0)[~there].mean()),
        "companion": float(((companion > 0) == (labels[..., 2] > 0))[host].mean()),
        "companion_missed": float((companion == 0)[host & (labels[..., 2] > 0)].mean()),
    }
