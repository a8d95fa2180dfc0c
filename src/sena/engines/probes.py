"""Whether a server holds the model that it should: three greedy texts about one made picture, asked here and there.

Two programs that hold the same model may part where two words are nearly as likely, so only what stands before the
first such place has to agree. Legend: V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from sena.engines import plain
from sena.engines.base import Engine
from sena.engines.trust import tolerance
from sena.models import encode
from sena.models.vlm import VLM
from sena.records import Request

TOKENS = 48


@dataclass(frozen=True, slots=True)
class Probe:
    """A prompt, what the model says, and `sure`, how that begins up to its first near tie; `ends` when there is none
    and the text ended by itself."""

    prompt: str
    text: str
    sure: str
    ends: bool

    def fits(self, said: str) -> bool:
        """Whether the same model may have said so."""
        return said == self.sure if self.ends else said.startswith(self.sure)


def ask(vlm: VLM, prompts: Sequence[str]) -> list[Probe]:
    """What the model in this process says."""
    pixels = encode.process(vlm, picture())
    requests, logits = _requests(prompts), list[torch.Tensor]()
    ids = [encode.prompt_ids(vlm, prompt, pixels) for prompt in prompts]
    with torch.inference_mode():
        rows = plain.answer(vlm, requests, ids, [pixels] * len(prompts), logits)
    return [
        _probe(vlm, prompt, tokens, [step[row] for step in logits])
        for row, (prompt, tokens) in enumerate(zip(prompts, rows, strict=True))
    ]


def replies(engine: Engine, probes: Sequence[Probe]) -> list[str]:
    """What an engine says to the prompts of the probes."""
    requests = _requests([probe.prompt for probe in probes])
    return [reply.text for reply in engine.generate(requests, lambda name: picture())]


def fit(probes: Sequence[Probe], said: Sequence[str]) -> bool:
    """Whether the model of the probes may have said all that."""
    return all(probe.fits(text) for probe, text in zip(probes, said, strict=True))


def picture() -> Image.Image:
    """Two waves and three plain areas, in colours, the same for ever: enough to say something about."""
    down, right = np.mgrid[0:224, 0:224] / 224
    waves = np.stack([right, down, 0.5 + 0.5 * np.sin(12 * right + 20 * down * down)], axis=-1)
    image = (255 * waves).round().astype(np.uint8)
    image[30:90, 40:120] = (220, 30, 30)
    image[120:200, 60:110] = (30, 60, 220)
    image[100:180, 150:210] = (250, 220, 40)
    return Image.fromarray(image)


def _requests(prompts: Sequence[str]) -> list[Request]:
    return [Request(f"probe {n}", prompt, "probe", max_new_tokens=TOKENS) for n, prompt in enumerate(prompts)]


def _probe(vlm: VLM, prompt: str, tokens: list[int], logits: Sequence[torch.Tensor]) -> Probe:
    """From the new ids and the logits [V] of each step."""
    end = next((place for place, token in enumerate(tokens) if token in vlm.stop_ids), None)
    steps = len(tokens) if end is None else end + 1
    said = tokens[:end]
    close = next((place for place in range(steps) if _is_close(logits[place], tokens[place], vlm.dtype)), None)
    sure = encode.decode(vlm, said if close is None else said[:close]).rstrip("\ufffd")
    return Probe(prompt, encode.decode(vlm, said), sure, end is not None and close is None)


def _is_close(logits: torch.Tensor, chosen: int, dtype: torch.dtype) -> bool:
    """Whether rounding alone may choose another token."""
    logits = logits.float()
    rest = logits.clone()
    rest[chosen] = -torch.inf
    return not (logits[chosen] - rest.max()).item() > tolerance(dtype) * max(1.0, logits.abs().max().item())
