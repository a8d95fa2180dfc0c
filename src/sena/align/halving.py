"""Work in batches that are halved until the memory suffices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import torch

from sena.errors import SenaError

Batches = list[list[int]]
Found = TypeVar("Found")


class Fitted(NamedTuple, Generic[Found]):
    """What the work gave, the batches that fitted, and how often they had been halved."""

    found: Found
    batches: Batches
    halvings: int


def fit(cut: Callable[[int], Batches], work: Callable[[Batches], Found], undo: Callable[[], None], mend: str) -> Fitted:
    """`work(cut(0))`, or with `cut(1)`, `cut(2)`, ... where the memory does not suffice, `undo()` being called before.

    Raises SenaError with `mend` when batches of one are still too much.
    """
    halvings, batches = 0, cut(0)
    while (found := _try(work, batches)) is None:
        undo()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        before = batches
        while batches == before:
            if all(len(batch) == 1 for batch in batches):
                raise SenaError(mend)
            halvings += 1
            batches = cut(halvings)
    return Fitted(found, batches, halvings)


def _try(work: Callable[[Batches], Found], batches: Batches) -> Found | None:
    try:
        return work(batches)
    except torch.OutOfMemoryError:
        return None  # all else is done outside, where the error no longer holds what the batch had made
