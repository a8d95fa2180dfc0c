"""Draws are balanced, seeded, disjoint over rounds, and read no more than they must."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sena import ids
from sena.errors import SenaError
from sena.images import sample
from sena.images.config import LimitsConfig
from sena.images.sample import Drawn, Used, draw
from sena.images.sources import FolderSource, Skipped
from tests.images.make import Shelf, plain, shelf


def shares(drawn: Drawn) -> dict[str, int]:
    return dict(Counter(image.source for image in drawn.images))


def test_a_draw_is_whole_and_describes_its_files() -> None:
    source = shelf("a", range(10))
    drawn = draw([source], count=4, seed=1, round=1)
    assert len({image.id for image in drawn.images}) == 4
    assert [image.id for image in drawn.images] == sorted(image.id for image in drawn.images)
    for image in drawn.images:
        data = source.files[image.path]
        assert image.id == ids.of_bytes(data) == image.sha256[:16]
        assert (image.width, image.height, image.source) == (16, 12, "a")
    assert (drawn.skipped, drawn.dry) == ((), ())


def test_only_drawn_files_are_read() -> None:
    sources = [shelf("a", range(1000)), shelf("b", range(1000, 3000))]
    drawn = draw(sources, count=10, seed=1, round=1)
    read = {(source.name, path) for source in sources for path in source.reads}
    assert read == {(image.source, image.path) for image in drawn.images}
    assert sum(len(source.reads) for source in sources) == 10


def test_same_seed_same_draw_whatever_the_order_of_files_and_sources() -> None:
    first = draw([shelf("a", range(50)), shelf("b", range(50, 90))], count=9, seed=7, round=1)
    mixed = [shelf("b", range(50, 90)), shelf("a", range(50))]
    for source in mixed:
        items = list(source.files.items())
        random.Random(3).shuffle(items)
        source.files = dict(items)
    assert draw(mixed, count=9, seed=7, round=1) == first
    assert draw(mixed, count=9, seed=8, round=1) != first


def test_the_order_of_seed_0_is_the_known_one() -> None:
    """Runs that go on under a newer library must go on in the same order: a change would show here."""
    source = shelf("a", range(8))
    draw([source], count=8, seed=0, round=1)
    assert source.reads == [f"{number:06}.png" for number in (4, 1, 3, 6, 2, 5, 0, 7)]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 10, 11])
def test_sources_give_equal_shares(count: int) -> None:
    sources = [shelf(name, range(100 * number, 100 * number + 50)) for number, name in enumerate("abc")]
    given = Counter(shares(draw(sources, count, seed=1, round=1)))
    amounts = [given[name] for name in "abc"]
    assert sum(amounts) == count
    assert max(amounts) - min(amounts) <= 1


def test_the_odd_picture_is_not_always_the_same_sources() -> None:
    sources = [shelf("a", range(50)), shelf("b", range(50, 100))]
    assert {next(iter(shares(draw(sources, 1, seed=1, round=round)))) for round in range(1, 12)} == {"a", "b"}


def test_the_others_fill_in_for_a_dry_source_in_equal_parts() -> None:
    """20 from {a: 2, b: many, c: many}: a gives 2, the other 18 are halved."""
    sources = [shelf("a", range(2)), shelf("b", range(100, 200)), shelf("c", range(200, 300))]
    drawn = draw(sources, count=20, seed=1, round=1)
    assert shares(drawn) == {"a": 2, "b": 9, "c": 9}
    assert drawn.dry == ("a",)
    assert drawn.summary() == "20 pictures: 2 from a, 9 from b, 9 from c; no more to be had from a"


def test_a_source_that_gave_its_last_picture_at_the_end_is_not_called_dry() -> None:
    assert draw([shelf("a", range(2)), shelf("b", range(5, 9))], count=4, seed=1, round=1).dry == ()


def test_rounds_are_disjoint_and_read_no_used_file_again() -> None:
    sources = [shelf("a", range(30)), shelf("b", range(100, 130))]
    images = []
    for round in range(1, 7):
        drawn = draw(sources, count=10, seed=3, round=round, used=Used.of(images))
        assert drawn.skipped == ()
        images += drawn.images
    assert len({image.id for image in images}) == 60
    assert all(len(source.reads) == len(set(source.reads)) == 30 for source in sources)


def test_a_round_goes_on_in_the_order_of_the_last() -> None:
    once, twice = shelf("a", range(40)), shelf("a", range(40))
    draw([once], count=20, seed=3, round=1)
    first = draw([twice], count=10, seed=3, round=1)
    draw([twice], count=10, seed=3, round=2, used=Used.of(first.images))
    assert twice.reads == once.reads


def test_a_copy_is_skipped_within_a_round_over_sources_and_over_rounds() -> None:
    a, b = Shelf("a", {"1.png": plain(1), "copy.png": plain(1)}), Shelf("b", {"other.png": plain(1), "2.png": plain(2)})
    first = draw([a, b], count=2, seed=1, round=1)
    assert sorted(image.id for image in first.images) == sorted(map(ids.of_bytes, (plain(1), plain(2))))
    assert {item.reason for item in first.skipped} <= {"already used"}
    late = Shelf("c", {"again.png": plain(2), "3.png": plain(3)})
    second = draw([late], count=1, seed=1, round=2, used=Used.of(first.images), at_least=1)
    assert [image.path for image in second.images] == ["3.png"]
    with pytest.raises(SenaError, match=r"1 skipped \(1 already used\)"):
        draw([late], count=2, seed=1, round=2, used=Used.of(first.images))


def test_bad_files_are_listed_with_their_reason_and_the_next_is_drawn() -> None:
    files = {f"good{number}.png": plain(number) for number in range(5)}
    source = Shelf("a", {**files, "empty.png": b"", "text.png": b"text"})
    drawn = draw([source], count=5, seed=1, round=1)
    assert len(drawn.images) == 5
    again = draw([Shelf("a", source.files)], count=7, seed=1, round=1, at_least=5)
    assert sorted((item.path, item.reason) for item in again.skipped) == [
        ("empty.png", "empty"),
        ("text.png", "unknown format"),
    ]
    assert again.summary() == (
        "5 pictures: 5 from a; no more to be had from a; 2 skipped (1 empty, 1 unknown format)"
    )  # fmt: skip


def test_what_an_earlier_round_skipped_is_neither_read_nor_listed_again() -> None:
    source = Shelf("a", {"empty.png": b"", **{f"{number}.png": plain(number) for number in range(6)}})
    first = draw([source], count=7, seed=1, round=1, at_least=1)
    source.reads.clear()
    source.files["new.png"] = plain(99)
    second = draw([source], count=1, seed=1, round=2, used=Used.of(first.images, first.skipped))
    assert ([image.path for image in second.images], second.skipped, source.reads) == (["new.png"], (), ["new.png"])


def test_what_a_source_could_not_list_is_listed_once() -> None:
    class Partial(Shelf):
        def unlisted(self) -> list[Skipped]:
            return [Skipped("a", "locked", "unreadable folder")]

    source = Partial("a", {"1.png": plain(1), "2.png": plain(2)})
    first = draw([source], count=1, seed=1, round=1)
    assert first.skipped == (Skipped("a", "locked", "unreadable folder"),)
    assert draw([source], count=1, seed=1, round=2, used=Used.of(first.images, first.skipped)).skipped == ()


def test_too_few_pictures_say_why_and_what_to_do() -> None:
    source = Shelf("a", {"empty.png": b"", "1.png": plain(1), "2.png": plain(2), "3.png": plain(3)})
    with pytest.raises(SenaError) as caught:
        draw([source], count=5, seed=1, round=1)
    assert str(caught.value) == (
        "Round 1 needs 5 pictures and 3 can be had; 1 skipped (1 empty): give --limit 3 or more images"
    )
    first = draw([source], count=3, seed=1, round=1)
    with pytest.raises(
        SenaError, match=r"Round 2 needs 3 .* 0 can be had; earlier rounds used 3; .*: give more images$"
    ):
        draw([source], count=3, seed=1, round=2, used=Used.of(first.images))
    assert draw([source], count=5, seed=1, round=1, at_least=0).dry == ("a",)


@pytest.mark.parametrize(
    ("sources", "count", "message"),
    [
        ([], 1, "no source"),
        ([shelf("a", range(1)), shelf("a", range(1))], 1, "called a"),
        ([shelf("a", range(1))], 0, "--limit 1 or more"),
    ],
)
def test_nonsense_is_refused(sources: list[Shelf], count: int, message: str) -> None:
    with pytest.raises(SenaError, match=message):
        draw(sources, count, seed=1, round=1)


def test_an_empty_folder_is_told_even_when_the_others_would_do(tmp_path: Path) -> None:
    with pytest.raises(SenaError, match="No picture"):
        draw([shelf("a", range(9)), FolderSource("b", tmp_path)], count=1, seed=1, round=1)


def test_a_million_paths_cost_seconds_not_minutes() -> None:
    class Endless(Shelf):
        def list(self) -> list[str]:
            return [f"{number:07}.png" for number in range(1_000_000)]

        def read(self, path: str) -> bytes:
            return plain(int(path[:7]))

    start = time.perf_counter()
    assert len(draw([Endless("a", {})], count=50, seed=1, round=1).images) == 50
    assert time.perf_counter() - start < 20


def test_threads_change_nothing_whoever_is_done_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that take longer than those behind them, twins and broken files, with one thread and with eight."""
    source = shelf("a", range(60))
    source.files |= {"twin.png": source.files["000003.png"], "broken.png": source.files["000004.png"][:40]}
    whole = sample.decode

    def slow(data: bytes, limits: LimitsConfig) -> Any:
        time.sleep(data[-20] % 7 / 1000)
        return whole(data, limits)

    monkeypatch.setattr(sample, "decode", slow)
    drawn = []
    for threads in (1, 8):
        monkeypatch.setattr(os, "cpu_count", lambda threads=threads: threads)
        drawn.append(draw([source], 60, seed=3, round=1))
    assert drawn[0] == drawn[1]
    assert sorted(skip.reason for skip in drawn[0].skipped) == ["already used", "damaged"]
