"""The figures of a sweep by hand, and the rule that names a strength."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sena.images.kinds import KINDS
from sena.sweeps.asking import Cell, Clean, Spoiled, cells
from sena.sweeps.sums import Spoiling, defaults, spoiling

CELL = Cell("blur", 4)
CLEAN = [
    Clean("a/description", "a", "description", "p", "A cat.", -2.0, 4),
    Clean("a/answer", "a", "answer", "p", "cat", -1.0, 2),
    Clean("b/description", "b", "description", "p", "A dog runs", -3.0, 4),
    Clean("b/answer", "b", "answer", "p", "dog", -0.5, 2),
]
SPOILED = [
    Spoiled("a/description", "a", "description", "a CAT", -2.5, 7),
    Spoiled("a/answer", "a", "answer", "a dog", -4.0, 7),
    Spoiled("b/description", "b", "description", "A cow runs on grass.", -7.0, 7),
    Spoiled("b/answer", "b", "answer", "", -2.5, 7),
]


def test_figures_by_hand() -> None:
    """Descriptions: one of two differs ("a CAT" is "A cat."); gaps 0.5 and 4 nats, so 2.25 a text and 4.5 / 8 a token;
    5 + 20 characters where there were 6 + 10. Answers: both differ, one is empty; gaps 3 and 2."""
    figures = spoiling(CLEAN, SPOILED, CELL).figures

    def values(part: str) -> dict[str, float]:
        return {name: figure["value"] for name, figure in figures[part].items()}

    assert values("description") == pytest.approx(
        {"differ": 0.5, "empty": 0, "gap": 2.25, "gap_token": 4.5 / 8, "length": 25 / 16}
    )
    assert values("answer") == pytest.approx(
        {"differ": 1, "empty": 0.5, "gap": 2.5, "gap_token": 5 / 4, "length": 5 / 6}
    )
    assert values("all") == pytest.approx(
        {"differ": 0.75, "empty": 0.25, "gap": 9.5 / 4, "gap_token": 9.5 / 12, "length": 30 / 22}
    )
    assert figures["all"]["differ"]["n"] == 4
    assert figures["all"]["gap_token"]["n"] == 12


def test_an_interval_is_over_images() -> None:
    """Of two images one differs in both texts, the other in none. Drawing two of two gives 0, 1/2 or 1 with chances
    1/4, 1/2, 1/4, so that the middle 95 % is all of it. With four texts drawn by themselves, 0 and 1 had 1/16 each."""
    spoiled = [
        *(replace(each, answer="else") for each in SPOILED[:2]),
        *(replace(new, answer=old.answer) for old, new in zip(CLEAN[2:], SPOILED[2:], strict=True)),
    ]
    differ = spoiling(CLEAN, spoiled, CELL).figures["all"]["differ"]
    assert (differ["value"], differ["low"], differ["high"]) == (0.5, 0, 1)
    gap = spoiling(CLEAN, SPOILED, CELL).figures["description"]["gap"]
    assert (gap["low"], gap["high"]) == pytest.approx((0.5, 4))


def test_answers_that_could_not_be_asked_are_not_counted() -> None:
    figures = spoiling(CLEAN, SPOILED[:2], CELL).figures["all"]
    assert figures["differ"]["n"] == 2
    assert figures["gap"]["value"] == pytest.approx(1.75)


def fit(strength: float, differ: float, lengths: tuple[float, float] = (1, 1), empty: float = 0) -> Spoiling:
    def figures(differ: float, length: float) -> dict[str, dict[str, float]]:
        return {"differ": {"value": differ}, "empty": {"value": empty}, "length": {"value": length}}

    parts = {"description": lengths[0], "answer": lengths[1], "all": 1.0}
    return Spoiling(Cell("blur", strength), {part: figures(differ, length) for part, length in parts.items()})


@pytest.mark.parametrize(
    ("found", "named"),
    [
        ([fit(1, 0.49), fit(2, 0.5), fit(4, 0.9)], 2),
        ([fit(4, 0.9), fit(2, 0.8), fit(1, 0.1)], 2),
        ([fit(1, 0.1), fit(2, 0.2)], None),
        ([fit(1, 0.9, lengths=(1, 2.01)), fit(2, 0.9, lengths=(0.49, 1)), fit(4, 0.9, lengths=(0.5, 2))], 4),
        ([fit(1, 0.9, empty=0.06), fit(2, 0.9, empty=0.05)], 2),
    ],
)
def test_the_rule(found: list[Spoiling], named: float | None) -> None:
    assert defaults(found) == {"blur": named}


def test_cells_are_the_ladders() -> None:
    assert [cell.name for cell in cells(["flip", "no_image"])] == ["flip-1", "flip-2", "no_image-0"]
    assert len(cells()) == sum(len(kind.ladder) for kind in KINDS.values())
