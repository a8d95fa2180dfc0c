"""The rows of a batch behind shared prefixes: their cache, mask and positions.

The slots of a row are [gap | prefix | gap | text | answer]: prefixes and texts both end where the longest ends, gaps
are masked, and position ids count on behind the row's own prefix. Legend: B rows of a batch, T tokens of the longest
text, A places that are kept, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from sena.engines.plain import pad_left
from sena.engines.prefix import Branch
from sena.engines.room import Layers, room
from sena.models.vlm import VLM


class Rows:
    """The branches of a batch behind their prefixes, with room for `extra` tokens behind their texts.

    `numbers` says which branch each row that is still there belongs to.
    """

    def __init__(self, vlm: VLM, branches: Sequence[Branch], prefixes: Sequence[Layers], extra: int) -> None:
        self.vlm = vlm
        self.numbers = list(range(len(branches)))
        self.done = [False] * len(branches)
        shared = [branch.shared for branch in branches]
        ids, mask = pad_left([branch.text for branch in branches], vlm.tokenizer.pad_token_id or 0)
        room_behind = ids.shape[1] + extra
        self.cache = room(prefixes, shared, room_behind)
        whole = torch.ones(len(branches), max(shared) + room_behind, dtype=torch.long)
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
        return self._forward(self.text, 1)[:, -1].float()

    def read(self, keep: torch.Tensor) -> torch.Tensor:
        """Read the texts; [A, V] logits at the places of them that `keep` [B, T] is true at."""
        return self._forward(self.text, keep)

    def step(self, tokens: list[int]) -> torch.Tensor:
        """[B, V] logits of what follows `tokens`."""
        return self._forward(torch.tensor(tokens, device=self.mask.device)[:, None], 1)[:, -1].float()

    def keep(self, places: list[int]) -> None:
        """Go on with the rows at these places only."""
        chosen = torch.tensor(places, device=self.mask.device)
        layers: list[Any] = self.cache.layers
        for layer in layers:
            layer.select(chosen)
        self.mask, self.moved = self.mask[chosen], self.moved[chosen]
        self.numbers = [self.numbers[place] for place in places]
        self.done = [False] * len(places)

    def _forward(self, ids: torch.Tensor, keep: int | torch.Tensor) -> torch.Tensor:
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
            logits_to_keep=keep,
        )
        return out.logits
