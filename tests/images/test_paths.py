"""Compact paths behave as a sorted list of different strings, which is the reference here."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sena.images.paths import AT_ONCE, Paths, in_order

TEXTS = st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=6), max_size=60)


@settings(deadline=None, max_examples=50)
@given(TEXTS)
def test_like_a_sorted_list(texts: list[str]) -> None:
    paths, plain = Paths.of(texts), sorted(set(texts))
    assert list(paths) == plain
    assert paths == plain
    assert len(paths) == len(plain)
    assert [paths[place] for place in range(-len(plain), len(plain))] == plain + plain
    assert paths[1:5] == plain[1:5]
    assert [paths.place(text) for text in plain] == list(range(len(plain)))
    assert "\U0010ffff none" not in paths
    assert 3 not in paths
    assert in_order(paths) is paths


def test_more_than_are_held_at_once() -> None:
    plain = [f"{number:05}" for number in range(3 * AT_ONCE + 7)]
    paths = Paths.of(reversed(plain + plain[:9]))
    assert list(paths) == plain
    assert paths[-1] == plain[-1]
    with pytest.raises(IndexError):
        paths[len(plain)]


def test_joined() -> None:
    parts = [Paths.of(["b/1", "b/2"]), Paths.of(["B/3"]), Paths.of([])]
    assert list(Paths.joined(parts)) == ["B/3", "b/1", "b/2"]
    assert Paths.joined(parts[:1]) is parts[0]
    assert Paths.of("ab") != ["a", "c"]
