"""Token sequences that begin alike, laid out as one tree: what they share stands there once. Pure data, no tensors.

A causal model's state at a token depends on the tokens before it alone, so two sequences may share every token up to
where they part, provided that a token sees its own ancestors only and is told its depth as its position.

Legend: T tokens of a tree. A token's place is its number in the layout, its depth its number along its own branch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

Row = tuple[int, ...]


class Tree(NamedTuple):
    """Branches one behind the other, each where it parts from the branch before it (a trie in preorder).

    The descendants of the token at place k stand at k + 1 ... until[k] - 1, so q sees k exactly when
    k <= q < until[k]. `depths` and `until` are [T]; `branches` gives the places of every row's tokens.
    """

    ids: list[int]
    depths: list[int]
    until: list[int]
    branches: dict[Row, list[int]]


def grow(rows: Iterable[Row]) -> Tree:
    """The tree of all rows. Sorted rows are a trie in preorder: each shares with the one before it all that it can."""
    tree = Tree([], [], [], {})
    branch: list[int] = []
    before: Row = ()
    for row in sorted(set(rows)):
        shared = count_shared(before, row)
        _end(tree, branch[shared:])
        branch = branch[:shared]
        for depth in range(shared, len(row)):
            branch.append(len(tree.ids))
            tree.ids.append(row[depth])
            tree.depths.append(depth)
            tree.until.append(0)
        tree.branches[row] = list(branch)
        before = row
    _end(tree, branch)
    return tree


def count_shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens the two have in common from the start on."""
    for place, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return place
    return min(len(one), len(other))


def _end(tree: Tree, places: Sequence[int]) -> None:
    """The tokens at `places` get no further descendants."""
    for place in places:
        tree.until[place] = len(tree.ids)
