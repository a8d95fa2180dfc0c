"""Prefixes: what all prompts on one picture share, read once and kept while a window lasts.

A prefix is the head of the template and the picture's tokens, up to the last of them. A special token ends there, so
its ids are the same whatever text follows. Legend: H heads of keys and values, P tokens of a prefix, D width of a head,
X axes of a family's positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from sena.engines.looks import Look
from sena.engines.room import Layers
from sena.models import encode, positions
from sena.models.vlm import VLM
from sena.records import Request

Key = tuple[Look, tuple[int, ...]]
"""A look and the ids up to its end: two templates on one picture do not share."""
READ_AT_ONCE = 2048
"""Tokens in one reading pass. Short prefixes go many at a time; long ones fill a processor by themselves."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A request cut behind its picture: the prefix that it shares, and the ids of its own.

    `places` are the prefix's positions, [P], or [X, P] by a family with several axes.
    """

    request: Request
    key: Key
    text: list[int]
    pixels: encode.Pixels
    places: torch.Tensor

    @property
    def shared(self) -> int:
        """Tokens in the prefix."""
        return len(self.key[1])

    @property
    def behind(self) -> int:
        """Position of the first token behind the prefix, on every axis. A picture of 4 by 6 tokens moves it by 6."""
        return int(self.places.max()) + 1


def cut(vlm: VLM, request: Request, pixels: encode.Pixels) -> Branch:
    ids = encode.prompt_ids(vlm, request.prompt, pixels)
    end = len(ids) - ids[::-1].index(vlm.image_id)
    key = ((request.image or "", request.corruption), tuple(ids[:end]))
    return Branch(request, key, ids[end:], pixels, positions.of_row_or_count(vlm, ids[:end], pixels))


@dataclass(slots=True)
class Prefixes:
    """Keys and values of prefixes, the latest used kept within a number of bytes."""

    kept: dict[Key, Layers] = field(default_factory=dict)
    sizes: dict[Key, int] = field(default_factory=dict)
    read: int = 0
    """Prefixes read so far: what sharing saves is seen here."""

    @property
    def bytes(self) -> int:
        return sum(self.sizes.values())

    def get(self, vlm: VLM, branches: Sequence[Branch], limit: int) -> list[Layers]:
        """The prefix of each branch. Missing ones are read first, older ones give way beyond `limit` bytes."""
        wanted = dict.fromkeys(branch.key for branch in branches)
        missing = {branch.key: branch for branch in branches if branch.key not in self.kept}
        self._make_space(vlm, wanted, missing, limit)
        for part in _passes(list(missing.values())):
            for branch, layers in zip(part, read(vlm, part), strict=True):
                self.kept[branch.key] = layers
                self.sizes[branch.key] = sum(keys.nbytes + values.nbytes for keys, values in layers)
                self.read += 1
        for key in wanted:  # the order of the dictionary is the order of use
            self.kept[key] = self.kept.pop(key)
        return [self.kept[branch.key] for branch in branches]

    def _make_space(self, vlm: VLM, wanted: Iterable[Key], missing: dict[Key, Branch], limit: int) -> None:
        from sena.engines.memory import bytes_per_token

        needed = sum(branch.shared for branch in missing.values()) * bytes_per_token(vlm)
        for key in [key for key in self.kept if key not in set(wanted)]:
            if self.bytes + needed <= limit:
                break
            del self.kept[key], self.sizes[key]

    def clear(self) -> None:
        self.kept.clear()
        self.sizes.clear()


def read(vlm: VLM, branches: Sequence[Branch]) -> list[Layers]:
    """Run the prefixes of `branches`, all of one length, through the model; their keys and values [H, P, D]."""
    from transformers import DynamicCache

    ids = torch.tensor([branch.key[1] for branch in branches], device=vlm.device)
    pictures = encode.stack([branch.pixels for branch in branches], vlm.device, vlm.dtype)
    cache: Any = DynamicCache(config=vlm.model.config.get_text_config())
    vlm.model(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        position_ids=torch.stack([branch.places for branch in branches], dim=-2).to(vlm.device),
        cache=cache,
        use_cache=True,
        logits_to_keep=1,
        **pictures,
    )
    # copies, so that a prefix that gives way frees its memory though its neighbours stay
    return [
        [(layer.keys[row].clone(), layer.values[row].clone()) for layer in cache.layers] for row in range(len(branches))
    ]


def _passes(branches: list[Branch]) -> list[list[Branch]]:
    """Branches of equal prefix length and tensor shapes together, few enough for one pass."""
    groups: dict[Any, list[Branch]] = {}
    for branch in branches:
        shapes = tuple((name, tensor.shape[1:]) for name, tensor in branch.pixels.tensors.items())
        groups.setdefault((branch.shared, shapes), []).append(branch)
    parts = []
    for group in groups.values():
        size = max(1, READ_AT_ONCE // group[0].shared)
        parts += [group[start : start + size] for start in range(0, len(group), size)]
    return parts
