"""Token by token behind shared prefixes: the branches of a batch, each with its own text and its own end.

The slots of a row are [gap | prefix | gap | text | answer]: prefixes and texts both end where the longest ends, gaps
are masked, and position ids count on behind the row's own prefix. Legend: B rows of a batch, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from sena.engines.plain import pad_left
from sena.engines.prefix import Branch
from sena.engines.room import Layers, room
from sena.engines.sampling import GumbelNoise
from sena.models.vlm import VLM

LEAVE = 0.75
"""Finished rows leave the batch once no more than this part of it is still at work: leaving copies what stays.
On the miniature's descriptions that saves a fifth of the processor time; .5 to .9 are alike."""


def decode(
    vlm: VLM, branches: Sequence[Branch], prefixes: Sequence[Layers], trace: list[torch.Tensor] | None = None
) -> list[list[int]]:
    """New ids of each branch, the stop id included. `trace` collects the logits of every step, of rows still there."""
    rows = _Rows(vlm, branches, prefixes)
    noise = None
    if any(branch.request.temperature > 0 for branch in branches):
        noise = GumbelNoise([branch.request for branch in branches])
    made: list[list[int]] = [[] for _ in branches]
    logits = rows.start()
    while True:
        if trace is not None:
            trace.append(logits)
        chosen = (noise(None, logits) if noise else logits).argmax(-1).tolist()
        working = []
        for place, (row, token) in enumerate(zip(rows.numbers, chosen, strict=True)):
            if rows.done[place]:
                continue
            made[row].append(token)
            rows.done[place] = token in vlm.stop_ids or len(made[row]) == branches[row].request.max_new_tokens
            if not rows.done[place]:
                working.append(place)
        if not working:
            return made
        if len(working) <= LEAVE * len(chosen):
            rows.keep(working)
            chosen = [chosen[place] for place in working]
            if noise:
                noise.keep(working)
        logits = rows.step(chosen)


class _Rows:
    """The batch at work: its cache, mask and positions, row by row."""

    def __init__(self, vlm: VLM, branches: Sequence[Branch], prefixes: Sequence[Layers]) -> None:
        self.vlm = vlm
        self.numbers = list(range(len(branches)))
        self.done = [False] * len(branches)
        shared = [branch.shared for branch in branches]
        ids, mask = pad_left([branch.text for branch in branches], vlm.tokenizer.pad_token_id or 0)
        extra = ids.shape[1] + max(branch.request.max_new_tokens for branch in branches)
        self.cache = room(prefixes, shared, extra)
        whole = torch.ones(len(branches), max(shared) + extra, dtype=torch.long)
        for row, length in enumerate(shared):
            whole[row, : max(shared) - length] = 0
        whole[:, max(shared) : max(shared) + ids.shape[1]] = mask
        self.mask = whole.to(vlm.device)
        # how far positions are from the count of tokens: a picture on several axes has more tokens than steps
        moved = [branch.behind - branch.shared for branch in branches]
        self.moved = torch.tensor(moved, device=vlm.device)[:, None]
        self.text = ids.to(vlm.device)
        self.used = max(shared)

    def start(self) -> torch.Tensor:
        """Read the texts; [B, V] logits of the first new tokens."""
        return self._forward(self.text)

    def step(self, tokens: list[int]) -> torch.Tensor:
        """[B, V] logits of what follows `tokens`."""
        return self._forward(torch.tensor(tokens, device=self.mask.device)[:, None])

    def keep(self, places: list[int]) -> None:
        """Go on with the rows at these places only."""
        chosen = torch.tensor(places, device=self.mask.device)
        layers: list[Any] = self.cache.layers
        for layer in layers:
            layer.select(chosen)
        self.mask, self.moved = self.mask[chosen], self.moved[chosen]
        self.numbers = [self.numbers[place] for place in places]
        self.done = [False] * len(places)

    def _forward(self, ids: torch.Tensor) -> torch.Tensor:
        end = self.used + ids.shape[1]
        mask = self.mask[:, :end]
        positions = ((mask.cumsum(-1) - 1).clamp_min(0) + self.moved)[:, self.used :]
        self.used = end
        out = self.vlm.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            cache=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return out.logits[:, -1].float()
