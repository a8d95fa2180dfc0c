"""The plain batch: each answer of each pair as one padded row. The readable truth; faster forwards take its place.

Legend: P pairs. Row 2p is pair p's chosen answer, row 2p + 1 its rejected one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from PIL import Image

from sena.models import encode, logprobs
from sena.models.vlm import VLM
from sena.records import Pair

OpenImage = Callable[[str], Image.Image]


class Encoded(NamedTuple):
    """A pair as the model takes it. Both answers end with the end token; `pixels` is shared by an image's pairs."""

    pair: Pair
    pixels: encode.Pixels
    prompt: list[int]
    chosen: list[int]
    rejected: list[int]


class LogProbs(NamedTuple):
    """Summed log-probabilities (natural log, float32) and token counts of both answers: each [P]."""

    chosen: torch.Tensor
    rejected: torch.Tensor
    chosen_tokens: torch.Tensor
    rejected_tokens: torch.Tensor


Forward = Callable[[VLM, Sequence[Encoded]], LogProbs]
"""What scores pairs. Training and reference take the same one, so that both round alike."""


def encode_pairs(vlm: VLM, pairs: Sequence[Pair], open_image: OpenImage) -> list[Encoded]:
    """Pairs with their ids and pixels; each picture is opened and processed once."""
    seen = {image: encode.process(vlm, open_image(image)) for image in dict.fromkeys(p.image_id for p in pairs)}
    return [_encode(vlm, pair, seen[pair.image_id]) for pair in pairs]


def _encode(vlm: VLM, pair: Pair, pixels: encode.Pixels) -> Encoded:
    return Encoded(
        pair,
        pixels,
        encode.prompt_ids(vlm, pair.prompt, pixels),
        encode.answer_ids(vlm, pair.prompt, pair.chosen, pixels),
        encode.answer_ids(vlm, pair.prompt, pair.rejected, pixels),
    )


def log_probabilities(vlm: VLM, pairs: Sequence[Encoded]) -> LogProbs:
    """One forward over 2P rows, padded on the right. Logits exist at answer positions only."""
    rows = [logprobs.Sequence(p.prompt, answer, p.pixels) for p in pairs for answer in (p.chosen, p.rejected)]
    sums, counts = logprobs.log_probabilities(vlm, rows)
    return LogProbs(sums[0::2], sums[1::2], counts[0::2], counts[1::2])
