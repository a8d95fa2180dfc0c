"""The controls keep every pair and its id, and change what they say they change."""

from __future__ import annotations

from sena.records import Pair
from sena.stages.config import PairConfig
from sena.stages.control import controlled


def pair(number: int, image: str, kind: str = "answer") -> Pair:
    return Pair(f"p{number}", f"r{number}", image, kind, "What?", f"good {number}", f"bad {number} {kind}")  # type: ignore[arg-type]


PAIRS = [
    pair(0, "a"),
    pair(1, "a"),
    pair(2, "b"),
    pair(3, "c"),
    pair(4, "a", "description"),
    pair(5, "b", "description"),
]


def test_none_changes_nothing() -> None:
    assert controlled(PAIRS, PairConfig(), seed=1) == PAIRS


def test_swapped() -> None:
    made = controlled(PAIRS, PairConfig(control="swapped"), seed=1)
    assert [(pair.id, pair.chosen, pair.rejected) for pair in made] == [
        (pair.id, pair.rejected, pair.chosen) for pair in PAIRS
    ]


def test_shuffled_takes_the_rejected_answer_of_another_picture_and_the_same_kind() -> None:
    made = controlled(PAIRS, PairConfig(control="shuffled"), seed=1)
    owner = {pair.rejected: pair for pair in PAIRS}
    for before, after in zip(PAIRS, made, strict=True):
        assert (after.id, after.chosen) == (before.id, before.chosen)
        assert owner[after.rejected].image_id != before.image_id
        assert owner[after.rejected].kind == before.kind
    assert controlled(list(reversed(PAIRS)), PairConfig(control="shuffled"), seed=1) == list(reversed(made))


def test_a_picture_alone_keeps_its_own() -> None:
    alone = [pair(0, "a"), pair(1, "a")]
    assert controlled(alone, PairConfig(control="shuffled"), seed=1) == alone
