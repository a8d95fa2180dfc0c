"""Trees by hand: what stands where, who sees whom, which pairs go together."""

from __future__ import annotations

import torch

from sena.align import forest, tree
from sena.align.plain import Encoded
from sena.align.tree_forward import attention_mask, cut, lay_out
from sena.models.encode import Pixels
from sena.records import Pair

NO_PIXELS = Pixels({}, "")


def pair(image: str, prompt: list[int], chosen: list[int], rejected: list[int]) -> Encoded:
    text = Pair(f"{image}{prompt}{chosen}{rejected}", "row", image, "answer", "", "", "")
    return Encoded(text, NO_PIXELS, prompt, chosen, rejected)


def test_three_rows() -> None:
    """1 2 3 4, 1 2 3 5 and 1 2 6: the last two part from the first after three and after two tokens.

    Layout 1 2 3 4 5 6. The token 3 (place 2) has its last descendant at place 4, so nothing from 5 on sees it.
    """
    grown = tree.grow([(1, 2, 6), (1, 2, 3, 5), (1, 2, 3, 4), (1, 2, 3, 5)])
    assert grown.ids == [1, 2, 3, 4, 5, 6]
    assert grown.depths == [0, 1, 2, 3, 3, 2]
    assert grown.until == [6, 6, 5, 4, 5, 6]
    assert grown.branches == {(1, 2, 3, 4): [0, 1, 2, 3], (1, 2, 3, 5): [0, 1, 2, 4], (1, 2, 6): [0, 1, 5]}


def test_a_row_may_be_the_start_of_another() -> None:
    grown = tree.grow([(1, 2, 3), (1,), (4,)])
    assert grown.ids == [1, 2, 3, 4]
    assert grown.until == [3, 3, 3, 4]
    assert grown.branches == {(1,): [0], (1, 2, 3): [0, 1, 2], (4,): [3]}


def test_shared_starts() -> None:
    assert tree.count_shared([1, 2, 3], [1, 2, 4]) == 2
    assert tree.count_shared([1, 2], [1, 2, 4]) == 2
    assert tree.count_shared([], [1]) == 0


def test_planted() -> None:
    """Prompt 1 9, chosen 4 2, rejected 2 (the end alone): the end token predicts nothing and is left out.

    Tree 1 9 4. Both answers' first token is predicted at the 9 (place 1), the chosen one's end at the 4 (place 2).
    """
    planted = forest.plant([pair("a", [1, 9], [4, 2], [2])])
    assert planted.tree.ids == [1, 9, 4]
    assert planted.answers == [forest.Answer([1, 2], [4, 2]), forest.Answer([1], [2])]


def test_layout() -> None:
    """Two images: prompts 1 8 and 1 9 under the first one, prompt 1 7 under the second, which is padded.

    First: 1 8 5 (the chosen answer of 1 8), 6 (its rejected one), 9 (the other prompt, its answers are ends alone).
    """
    first = forest.plant([pair("a", [1, 8], [5, 2], [6, 2]), pair("a", [1, 9], [2], [2])])
    layout = lay_out([first, forest.plant([pair("b", [1, 7], [2], [5, 2])])], pad=0)
    assert layout.ids.tolist() == [[1, 8, 5, 6, 9, 0, 0, 0], [1, 7, 5, 0, 0, 0, 0, 0]]
    assert layout.positions.tolist() == [[0, 1, 2, 2, 1, 0, 0, 0], [0, 1, 2, 0, 0, 0, 0, 0]]
    assert layout.sees[0].int().tolist() == [
        [1, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0, 0],
        [1, 1, 0, 1, 0, 0, 0, 0],
        [1, 0, 0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 1],
    ]
    assert layout.sees[1].sum(1).tolist() == [1, 2, 3, 1, 1, 1, 1, 1]
    assert layout.predicts.int().tolist() == [[0, 1, 1, 1, 1, 0, 0, 0], [0, 1, 1, 0, 0, 0, 0, 0]]
    # predicting places in order: 8, 5, 6 and 9 of the first tree are rows 0 to 3; 7 and 5 of the second are 4 and 5
    assert layout.rows.tolist() == [0, 1, 0, 2, 3, 3, 4, 4, 5]
    assert layout.targets.tolist() == [5, 2, 6, 2, 2, 2, 2, 5, 2]
    assert layout.lengths.tolist() == [2, 2, 1, 1, 1, 2]


def test_masks_as_attention_reads_them() -> None:
    sees = torch.tensor([[[True, False], [True, True]]])
    assert attention_mask(sees, "sdpa", torch.float32).tolist() == [[[[True, False], [True, True]]]]
    added = attention_mask(sees, "eager", torch.float32)
    assert added.tolist() == [[[[0.0, torch.finfo(torch.float32).min], [0.0, 0.0]]]]


def test_batches_by_budget() -> None:
    """Trees of 3 (a), 12 (b) and 4 (c) tokens are 8, 16 and 8 padded. 24 hold b and nothing else, then a and c."""
    long = pair("b", list(range(10, 20)), [4, 5, 2], [2])
    pairs = [pair("a", [1, 9], [4, 2], [2]), long, pair("c", [1, 9], [4, 5, 2], [2])]
    assert forest.cut(pairs, 24) == [[1], [0, 2]]
    assert forest.cut(pairs, 48) == [[1, 0, 2]]
    assert forest.cut(pairs, 1) == [[1], [0], [2]]


def test_a_tree_beyond_the_budget_is_divided_by_prompts() -> None:
    """Six prompts of one image that share 6 tokens, 4 more each: 30 tokens, 32 padded. Three of them: 18, 24 padded.

    The halves stay apart, and pairs of one prompt together.
    """
    head = [1, 2, 3, 4, 5, 6]
    pairs = [pair("a", [*head, number, 7], [8, 2], [9, 2]) for number in (20, 21, 22, 23, 24, 25)]
    assert forest.cut(pairs, 32) == [[0, 1, 2, 3, 4, 5]]
    assert forest.cut(pairs, 31) == [[0, 1, 2], [3, 4, 5]]
    assert forest.cut([*pairs, pairs[0]], 31) == [[0, 6, 1, 2], [3, 4, 5]]
    assert forest.cut(pairs[:1], 3) == [[0]]


def test_plain_rows_are_cut_by_number() -> None:
    pairs = [pair("a", [1], [2], [2])] * 5
    assert cut(lambda vlm, rows: None, pairs, 2) == [[0, 1], [2, 3], [4]]  # type: ignore[arg-type,return-value]
