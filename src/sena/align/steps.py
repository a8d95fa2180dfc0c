"""Which pairs form which optimizer step: from seed and ids alone, before anything is batched or packed.

So trees, micro-batches and workers only split a step, and two runs with the same seed take the same steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TypeVar

from sena import seeds
from sena.records import Pair

Step = tuple[Pair, ...]
Thing = TypeVar("Thing")


def compose(pairs: Sequence[Pair], seed: int, pairs_per_step: int, epochs: int = 1) -> list[Step]:
    """The optimizer steps of a round, in order.

    Every epoch shuffles the images anew; an image's pairs stand together, by id. An image whose pairs would overfill
    a step opens the next one, so a step may be smaller than `pairs_per_step` but never larger, and only an image with
    more pairs than that is divided. The last step of an epoch holds what is left; no step spans two epochs.
    """
    images = _by_image(pairs)
    return [step for epoch in range(epochs) for step in _epoch(images, seed, epoch, pairs_per_step)]


def _by_image(pairs: Sequence[Pair]) -> dict[str, list[Pair]]:
    ordered = sorted(pairs, key=lambda pair: (pair.image_id, pair.id))
    return {image: list(group) for image, group in groupby(ordered, key=lambda pair: pair.image_id)}


def _epoch(images: dict[str, list[Pair]], seed: int, epoch: int, size: int) -> list[Step]:
    order = sorted(images, key=lambda image: (seeds.derive(seed, "steps", epoch, image), image))
    steps: list[Step] = []
    open_step: list[Pair] = []
    for image in order:
        for piece in batches(images[image], size):
            if len(open_step) + len(piece) > size:
                steps.append(tuple(open_step))
                open_step = []
            open_step += piece
    return [*steps, tuple(open_step)] if open_step else steps


def batches(things: Sequence[Thing], size: int) -> list[Sequence[Thing]]:
    """Cut into pieces of `size`, the last one with what is left."""
    return [things[start : start + size] for start in range(0, len(things), size)]
