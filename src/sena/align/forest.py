"""Pairs as trees, one an image, and which pairs go through the model together.

A pair's two rows are its prompt followed by all of an answer but the end token, which predicts nothing. The token at
depth d of an answer is predicted at depth d - 1, so the first one is scored at its prompt's last token.

Legend: P pairs, A answers (two a pair, chosen first).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sena.align import tree
from sena.align.plain import Encoded
from sena.models import encode

MULTIPLE = 8
"""Trees are padded to a multiple of this: masked attention kernels want rows that begin at aligned addresses."""


class Answer(NamedTuple):
    """Where an answer's tokens are predicted (places in the tree) and which they are."""

    places: list[int]
    targets: list[int]


class Planted(NamedTuple):
    """The tree of one image's pairs. `answers` is [A], in the order of the pairs."""

    tree: tree.Tree
    answers: list[Answer]
    pixels: encode.Pixels


def plant(pairs: Sequence[Encoded]) -> Planted:
    """The tree of pairs of one image."""
    sides = [(pair.prompt, answer) for pair in pairs for answer in (pair.chosen, pair.rejected)]
    grown = tree.grow((*prompt, *answer[:-1]) for prompt, answer in sides)
    answers = [Answer(grown.branches[(*prompt, *answer[:-1])][len(prompt) - 1 :], answer) for prompt, answer in sides]
    return Planted(grown, answers, pairs[0].pixels)


def by_image(pairs: Sequence[Encoded]) -> list[list[int]]:
    """Numbers of the pairs of each image, images in order of their first pair."""
    groups: dict[str, list[int]] = {}
    for number, pair in enumerate(pairs):
        groups.setdefault(pair.pair.image_id, []).append(number)
    return list(groups.values())


def cut(pairs: Sequence[Encoded], budget: int) -> list[list[int]]:
    """Numbers of the pairs that go through the model together: at most `budget` tokens each, padding included.

    Trees of like length go together, the longest first. An image's pairs stay together unless their tree alone is
    beyond the budget: then it is divided by prompts, and one that cannot be divided goes alone.
    """
    pieces = [piece for numbers in by_image(pairs) for piece in _divide(pairs, numbers, budget)]
    pieces.sort(key=lambda piece: (-piece.width, piece.numbers))
    batches: list[list[_Piece]] = []
    for piece in pieces:
        if not batches or not _has_room(batches[-1], piece, budget):
            batches.append([])
        batches[-1].append(piece)
    return [[number for piece in batch for number in piece.numbers] for batch in batches]


class _Piece(NamedTuple):
    """Pairs whose tree is `width` tokens long when padded."""

    width: int
    numbers: list[int]
    image: str


def _has_room(batch: Sequence[_Piece], piece: _Piece, budget: int) -> bool:
    """Two pieces of one image would grow together again, beyond the width that was counted."""
    fits = batch[0].width * (len(batch) + 1) <= budget
    return fits and all(piece.image != other.image for other in batch)


def _divide(pairs: Sequence[Encoded], numbers: list[int], budget: int) -> list[_Piece]:
    """Halves, prompts kept whole while there are several, until each tree fits: the prefix is paid for once a piece."""
    members = [pairs[number] for number in numbers]
    width = padded(len(plant(members).tree.ids))
    if width <= budget or len(numbers) == 1:
        return [_Piece(width, numbers, members[0].pair.image_id)]
    prompts: dict[tuple[int, ...], list[int]] = {}
    for number in numbers:
        prompts.setdefault(tuple(pairs[number].prompt), []).append(number)
    units = list(prompts.values()) if len(prompts) > 1 else [[number] for number in numbers]
    half = len(units) // 2
    parts = [[number for unit in part for number in unit] for part in (units[:half], units[half:])]
    return [piece for part in parts for piece in _divide(pairs, part, budget)]


def padded(length: int) -> int:
    """The length that a tree of `length` tokens is given in a batch."""
    return -(-length // MULTIPLE) * MULTIPLE
