"""The local engine: batches of prompts through transformers' own `generate`, so that every family works.

Legend: B rows of a batch, T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from sena.engines.base import OpenImage
from sena.errors import SenaError
from sena.images.corrupt import corrupt
from sena.models import encode
from sena.models.logprobs import Sequence as Scored
from sena.models.logprobs import log_probabilities
from sena.models.vlm import VLM
from sena.records import Corruption, Reply, Request, Score


@dataclass(slots=True)
class LocalEngine:
    """Answers with a model in this process. `batch` prompts go together; it only shrinks, when memory runs out."""

    vlm: VLM
    batch: int = 32
    offers: frozenset[Literal["generate", "score"]] = frozenset({"generate", "score"})
    halvings: int = 0
    _pixels: dict[tuple[str, Corruption | None], encode.Pixels] = field(default_factory=dict)

    def generate(self, requests: Sequence[Request], open_image: OpenImage) -> list[Reply]:
        """Greedy for temperature 0, else sampled with the request's own seed. The order of the requests is kept.

        Batches follow from the requests alone: those of equal limits together, clean before corrupted, so that a
        short answer does not wait for a long description.
        """
        replies: dict[int, Reply] = {}
        order = sorted(range(len(requests)), key=lambda place: _plan_key(requests[place]))
        while order:
            places = _same_limit(order, requests, self.batch)
            try:
                answered = self._generate([requests[place] for place in places], open_image)
            except torch.OutOfMemoryError as error:
                self._halve(error)
                continue
            replies.update(zip(places, answered, strict=True))
            order = order[len(places) :]
        self._pixels.clear()
        return [replies[place] for place in range(len(requests))]

    def score(self, requests: Sequence[Request], open_image: OpenImage) -> list[Score]:
        """Log-probabilities of the requests' given answers, under their (perhaps corrupted) pictures."""
        scores: list[Score] = []
        while len(scores) < len(requests):
            batch = requests[len(scores) : len(scores) + self.batch]
            try:
                scores += self._score(batch, open_image)
            except torch.OutOfMemoryError as error:
                self._halve(error)
        self._pixels.clear()
        return scores

    def _halve(self, error: torch.OutOfMemoryError) -> None:
        if self.batch == 1:
            raise SenaError(f"{self.vlm.name} does not fit the device even with one prompt at a time") from error
        self.batch //= 2
        self.halvings += 1
        torch.cuda.empty_cache()

    @torch.inference_mode()
    def _generate(self, requests: list[Request], open_image: OpenImage) -> list[Reply]:
        vlm, limit = self.vlm, requests[0].max_new_tokens
        pixels = [self._prepare(request, open_image) for request in requests]
        prompts = [encode.prompt_ids(vlm, each.prompt, seen) for each, seen in zip(requests, pixels, strict=True)]
        ids, mask = _pad_left(prompts, vlm.tokenizer.pad_token_id or 0)
        pictures = [seen for seen in pixels if seen is not None]
        extra: dict[str, Any] = encode.stack(pictures, vlm.device, vlm.dtype) if pictures else {}
        if any(request.temperature > 0 for request in requests):
            extra["logits_processor"] = [GumbelNoise(requests)]
        out = vlm.model.generate(
            input_ids=ids.to(vlm.device),
            attention_mask=mask.to(vlm.device),
            max_new_tokens=limit,
            do_sample=False,
            num_beams=1,
            eos_token_id=list(vlm.stop_ids),
            pad_token_id=vlm.tokenizer.pad_token_id or 0,
            **extra,
        )
        made = out[:, ids.shape[1] :].tolist()
        return [self._reply(request, row) for request, row in zip(requests, made, strict=True)]

    def _reply(self, request: Request, row: list[int]) -> Reply:
        end = next((place for place, index in enumerate(row) if index in self.vlm.stop_ids), None)
        tokens = row[:end]
        text = encode.decode(self.vlm, tokens)
        stable = encode.answer_ids(self.vlm, request.prompt, text)[:-1] == tokens
        return Reply(request.id, text, end is not None, tuple(tokens), stable)

    @torch.inference_mode()
    def _score(self, requests: Sequence[Request], open_image: OpenImage) -> list[Score]:
        rows = []
        for request in requests:
            seen = self._prepare(request, open_image)
            prompt = encode.prompt_ids(self.vlm, request.prompt, seen)
            answer = encode.answer_ids(self.vlm, request.prompt, request.answer or "", seen)
            rows.append(Scored(prompt, answer, seen))
        sums, counts = log_probabilities(self.vlm, rows)
        return [
            Score(request.id, total, total / count, count)
            for request, total, count in zip(requests, sums.tolist(), counts.tolist(), strict=True)
        ]

    def _prepare(self, request: Request, open_image: OpenImage) -> encode.Pixels | None:
        """The request's picture, processed and spoiled; kept while one call works on it, since prompts share it."""
        if request.image is None:
            return None
        key = (request.image, request.corruption)
        if key not in self._pixels:
            clean = self._pixels.get((request.image, None))
            if clean is None:
                clean = encode.process(self.vlm, open_image(request.image))
                self._pixels[request.image, None] = clean
            if request.corruption is not None:
                spoiled = corrupt(clean.tensors["pixel_values"], request.corruption)
                clean = encode.Pixels({**clean.tensors, "pixel_values": spoiled}, clean.text)
            self._pixels[key] = clean
        return self._pixels[key]


class GumbelNoise:
    """Turns the greedy choice into a sample: argmax(logits / temperature + Gumbel noise) is a draw from the softmax.

    Each row has a generator of its own, seeded by its request, so a sample does not depend on its neighbours.
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        self.temperatures = [request.temperature for request in requests]
        self.generators = [torch.Generator().manual_seed(request.seed) for request in requests]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores` [B, V] in, [B, V] out; rows of temperature 0 pass unchanged."""
        scores = scores.float().clone()
        for row, (temperature, generator) in enumerate(zip(self.temperatures, self.generators, strict=True)):
            if temperature > 0:
                uniform = torch.rand(scores.shape[1], generator=generator, dtype=torch.float64).clamp_min_(1e-300)
                noise = -torch.log(-torch.log(uniform))
                scores[row] = scores[row] / temperature + noise.to(scores)
        return scores


def _plan_key(request: Request) -> tuple[int, bool, bool]:
    return (request.max_new_tokens, request.image is None, request.corruption is not None)


def _same_limit(order: list[int], requests: Sequence[Request], batch: int) -> list[int]:
    """The first places that may share a batch: one token limit, and all with a picture or all without."""
    first = _plan_key(requests[order[0]])[:2]
    return [place for place in order[:batch] if _plan_key(requests[place])[:2] == first]


def _pad_left(rows: list[list[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """[B, T] ids and their mask, padded in front, since generation goes on at the end."""
    width = max(map(len, rows))
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return ids, mask
