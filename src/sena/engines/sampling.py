"""Sampling as a greedy choice among disturbed logits. Legend: B rows of a batch, T tokens, V vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sena.records import Request


class GumbelNoise:
    """Turns the greedy choice into a sample: argmax(logits / temperature + Gumbel noise) is a draw from the softmax.

    Each row has a generator of its own, seeded by its request, so a sample does not depend on its neighbours.
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        self.temperatures = [request.temperature for request in requests]
        self.generators = [torch.Generator().manual_seed(request.seed) for request in requests]

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows only; their generators stay where they are."""
        self.temperatures = [self.temperatures[row] for row in rows]
        self.generators = [self.generators[row] for row in rows]

    def __call__(self, input_ids: torch.Tensor | None, scores: torch.Tensor) -> torch.Tensor:
        """`scores` [B, V] in, [B, V] out; rows of temperature 0 pass unchanged. The signature is transformers'."""
        scores = scores.float().clone()
        for row, (temperature, generator) in enumerate(zip(self.temperatures, self.generators, strict=True)):
            if temperature > 0:
                uniform = torch.rand(scores.shape[1], generator=generator, dtype=torch.float64).clamp_min_(1e-300)
                noise = -torch.log(-torch.log(uniform))
                scores[row] = scores[row] / temperature + noise.to(scores)
        return scores
