"""Steps follow from seed and ids alone."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sena import seeds
from sena.align.steps import batches, compose
from sena.records import Pair


def pair(image: str, number: int) -> Pair:
    return Pair(f"{image}-{number}", f"row-{image}", image, "answer", "p", "c", "r")


def ids(step: tuple[Pair, ...]) -> list[str]:
    return [each.id for each in step]


def test_by_hand() -> None:
    """Images of 2, 2 and 1 pairs, 3 pairs a step. In the seeded order x, y, z:

    x (2) opens step 0; y's or z's pairs fill it up as far as whole images fit.
    """
    counts = {"a": 2, "b": 2, "c": 1}
    pairs = [pair(image, number) for image, count in counts.items() for number in range(count)]
    order = sorted(counts, key=lambda image: seeds.derive(5, "steps", 0, image))
    expected: list[list[str]] = [[]]
    for image in order:
        if len(expected[-1]) + counts[image] > 3:
            expected.append([])
        expected[-1] += [f"{image}-{number}" for number in range(counts[image])]
    assert [ids(step) for step in compose(pairs, 5, 3)] == expected


def test_an_image_with_too_many_pairs_is_cut() -> None:
    """5 pairs, 2 a step: 2, 2, 1."""
    found = compose([pair("a", number) for number in range(5)], 0, 2)
    assert [ids(step) for step in found] == [["a-0", "a-1"], ["a-2", "a-3"], ["a-4"]]


def test_nothing_gives_no_steps() -> None:
    assert compose([], 0, 4) == []


def test_batches() -> None:
    assert [len(piece) for piece in batches([pair("a", n) for n in range(5)], 2)] == [2, 2, 1]


@given(
    counts=st.lists(st.integers(1, 6), min_size=1, max_size=12),
    seed=st.integers(0, 99),
    size=st.integers(1, 9),
    epochs=st.integers(1, 3),
    random=st.randoms(),
)
def test_rules(counts: list[int], seed: int, size: int, epochs: int, random: object) -> None:
    pairs = [pair(f"i{image}", number) for image, count in enumerate(counts) for number in range(count)]
    found = compose(pairs, seed, size, epochs)
    random.shuffle(pairs)  # type: ignore[attr-defined]
    assert compose(pairs, seed, size, epochs) == found
    assert Counter(name for step in found for name in ids(step)) == {each.id: epochs for each in pairs}
    assert all(1 <= len(step) <= size for step in found)
    a_epoch = found[: len(compose(pairs, seed, size))]
    for image, count in enumerate(counts):
        holding = [step for step in a_epoch if any(each.image_id == f"i{image}" for each in step)]
        assert len(holding) == (1 if count <= size else -(-count // size))
    for first, second in pairwise(a_epoch):  # no step is closed while the next image's first piece would fit
        piece = [each for each in second if each.image_id == second[0].image_id]
        assert len(first) + len(piece) > size


def test_other_seed_other_order() -> None:
    pairs = [pair(f"i{number}", 0) for number in range(30)]
    assert compose(pairs, 1, 4) != compose(pairs, 2, 4)
    one, two = (ids(step) for step in compose(pairs, 1, 30, epochs=2))
    assert one != two
