"""The tongue of the miniature: projector and language model learn from several turns a picture in one sequence.

The picture comes first and once; each turn sees the picture and itself, and counts its positions on from the picture.
So a turn is learned exactly as it is later asked, alone.

Shapes: B pictures, T tokens, D features. The prefix is `<s> user : ` and nine image tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sena.mini import build, eye
from sena.mini.lessons import Turn, Tutor
from sena.mini.world import Scene

PREFIX = 12
IGNORED = -100


@dataclass(frozen=True, slots=True)
class Batch:
    """ids, labels, positions int64 [B, T]; turn int64 [B, T]: 0 the prefix, -1 padding, else the turn's number."""

    ids: Tensor
    labels: Tensor
    positions: Tensor
    turn: Tensor

    def mask(self) -> Tensor:
        """Additive attention mask [B, 1, T, T]: causal, and no turn sees another."""
        length = self.ids.shape[1]
        own = self.turn[:, :, None] == self.turn[:, None, :]
        causal = torch.ones(length, length, dtype=torch.bool).tril()
        seen = (own | (self.turn[:, None, :] == 0)) & causal
        return torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min).unsqueeze(1)


class Writer:
    """Turns words into ids the way the tokenizer does; the lessons' texts are separated by blanks already."""

    def __init__(self, vocabulary: list[str]) -> None:
        self.id = {word: number for number, word in enumerate(vocabulary)}

    def encode(self, text: str) -> list[int]:
        return [self.id[word] for word in text.split()]

    def batch(self, lessons: list[list[Turn]]) -> Batch:
        """One sequence a picture: the prefix, then its turns side by side."""
        prefix = self.encode("<s> user :" + " <image>" * 9)
        rows = [self._row(prefix, turns) for turns in lessons]
        length = max(len(row[0]) for row in rows)
        empty = (self.id["<pad>"], IGNORED, 0, -1)
        columns = [
            torch.tensor([row[part] + [empty[part]] * (length - len(row[part])) for row in rows]) for part in range(4)
        ]
        return Batch(*columns)

    def _row(self, prefix: list[int], turns: list[Turn]) -> tuple[list[int], list[int], list[int], list[int]]:
        ids, labels = list(prefix), [IGNORED] * len(prefix)
        positions, turn = list(range(len(prefix))), [0] * len(prefix)
        for number, lesson in enumerate(turns, start=1):
            asked, said = self.encode(lesson.user + " assistant :"), self.encode(lesson.answer + " </s>")
            ids += asked + said
            labels += [IGNORED] * len(asked) + said
            positions += range(len(prefix), len(prefix) + len(asked) + len(said))
            turn += [number] * (len(asked) + len(said))
        return ids, labels, positions, turn


def answer_loss(model: Any, seen: Tensor, batch: Batch) -> Tensor:
    """Mean cross-entropy over the answer tokens; seen [B, 9, D] are the tower's features."""
    inner = model.model
    embedded = inner.language_model.embed_tokens(batch.ids)
    pictures = inner.multi_modal_projector(seen)
    embedded = torch.cat([embedded[:, :3], pictures, embedded[:, PREFIX:]], dim=1)
    hidden = inner.language_model(
        inputs_embeds=embedded, attention_mask=batch.mask(), position_ids=batch.positions, use_cache=False
    ).last_hidden_state
    wanted = batch.labels[:, 1:] != IGNORED
    logits = model.lm_head(hidden[:, :-1][wanted])
    return nn.functional.cross_entropy(logits, batch.labels[:, 1:][wanted])


@dataclass(frozen=True, slots=True)
class Course:
    """How the tongue is taught. `noise_share` of the pictures carry noise, as a camera's sometimes do.

    From step `faint_from` on it sees the other paintings, in which some companions are all but invisible: first it
    learns to look, then when not to trust its eye.
    """

    steps: int
    faint_from: int
    pictures: int = 24
    rate: float = 2e-3
    noise_share: float = 0.25
    seed: int = 0


def train_tongue(
    model: Any,
    scenes: list[Scene],
    paintings: tuple[np.ndarray, np.ndarray],
    tutor: Tutor,
    course: Course,
    log: Callable[[int, float], None],
) -> None:
    """Teach projector and language model; the tower stays as it is.

    `paintings` are the scenes' pictures, uint8 [N, 48, 48, 3] each: all companions clear, and some of them faint.
    """
    torch.manual_seed(course.seed)
    generator, rng = torch.Generator().manual_seed(course.seed), np.random.RandomState(course.seed)
    writer = Writer(build.language.vocabulary())
    tower = model.model.vision_tower.requires_grad_(False).eval()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=course.rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, course.rate, total_steps=course.steps, pct_start=0.05)
    total = 0.0
    for step in range(course.steps):
        rows = rng.randint(len(scenes), size=course.pictures)
        batch = writer.batch([tutor.turns(scenes[row], rng) for row in rows])
        pixels = torch.from_numpy(build.normalise(paintings[step >= course.faint_from][rows]))
        noise = eye.noise_steps(len(rows), course.noise_share, generator)
        with torch.no_grad():
            seen = eye.features(tower, eye.add_noise(pixels, noise, generator))
        loss = answer_loss(model, seen, batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        total += float(loss.detach())
        if (step + 1) % 100 == 0:
            log(step + 1, total / 100)
            total = 0.0
