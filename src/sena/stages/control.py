"""Controls of an experiment: the same pairs with their preference turned round, or rejected answers of elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sena.records import Pair
from sena.seeds import derive
from sena.stages.config import PairConfig


def controlled(pairs: Sequence[Pair], config: PairConfig, seed: int) -> list[Pair]:
    """The round's pairs as the recipe's `pair.control` has them, in their order. Ids stay, so rows can be traced."""
    if config.control == "swapped":
        return [replace(pair, chosen=pair.rejected, rejected=pair.chosen) for pair in pairs]
    if config.control == "shuffled":
        return _shuffled(pairs, seed)
    return list(pairs)


def _shuffled(pairs: Sequence[Pair], seed: int) -> list[Pair]:
    """Each pair gets the rejected answer of the next pair, in seeded order, of its kind and another picture.

    A pair that finds no other picture among its kind keeps its own.
    """
    order = sorted(pairs, key=lambda pair: derive(seed, "shuffled", pair.id))
    rejected: dict[str, str] = {}
    for kind in ("description", "answer"):
        same = [pair for pair in order if pair.kind == kind]
        for place, pair in enumerate(same):
            around = same[place + 1 :] + same[:place]
            other = next((each for each in around if each.image_id != pair.image_id), pair)
            rejected[pair.id] = other.rejected
    return [replace(pair, rejected=rejected[pair.id]) for pair in pairs]
