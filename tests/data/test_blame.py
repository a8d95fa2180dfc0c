"""A shard whose workers die, held to an oracle that says which images kill."""

from __future__ import annotations

import math

import pytest

from sena.data.blame import MOST_LEFT_OUT, Work

NAMES = tuple(f"i{place}" for place in range(13))


def live(work: Work, kills: set[str], most: int = 10_000) -> tuple[str, int]:
    """Workers that die of any task with one of `kills` in it or more than `most` images: the end, and how many runs."""
    state, runs = "again", 0
    while state == "again":
        task = work.task()
        seen = [name for name in task.only or work.images if name not in task.left_out]
        state = work.died("died") if kills.intersection(seen) or len(seen) > most else work.lived()
        runs += 1
        assert runs < 100
    return state, runs


def test_a_healthy_shard_takes_one_run() -> None:
    work = Work(0, NAMES)
    assert live(work, set()) == ("done", 1)


def test_a_death_by_chance_is_tried_again_and_nothing_is_left_out() -> None:
    work = Work(3, NAMES, retries=2)
    assert [work.died("x"), work.died("x"), work.lived()] == ["again", "again", "done"]
    assert (work.left_out, work.task().shard) == ((), 3)


@pytest.mark.parametrize("guilty", range(len(NAMES)))
@pytest.mark.parametrize("retries", [0, 2])
def test_the_one_image_is_found(guilty: int, retries: int) -> None:
    """13 images: 1 + retries whole runs, at most ceil(log2 13) + 1 = 5 trials, and one whole run without the image."""
    work = Work(0, NAMES, retries)
    state, runs = live(work, {NAMES[guilty]})
    assert (state, work.left_out) == ("done", (NAMES[guilty],))
    assert runs <= 1 + retries + math.ceil(math.log2(13)) + 1 + 1


def test_two_images_are_found_and_three_are_too_many() -> None:
    work = Work(0, NAMES, 0)
    assert live(work, {"i1", "i12"})[0] == "done"
    assert set(work.left_out) == {"i1", "i12"}
    many = Work(0, NAMES, 0)
    assert live(many, {"i1", "i5", "i12"})[0] == "failed"
    assert len(many.left_out) == MOST_LEFT_OUT


@pytest.mark.parametrize("most", [1, 2, 6, 12])
def test_no_image_is_blamed_where_only_many_together_kill(most: int) -> None:
    work = Work(0, NAMES, 1)
    assert live(work, set(), most)[0] == "failed"
    assert work.left_out == ()


@pytest.mark.parametrize("names", [("a",), ("a", "b")])
def test_a_shard_that_dies_without_any_image_fails(names: tuple[str, ...]) -> None:
    work = Work(0, names, 0)
    for _ in range(20):
        if work.died("x") == "failed":
            break
    else:
        raise AssertionError("never given up")


def test_the_report_names_everything() -> None:
    work = Work(4, ("a", "b"), 0)
    work.died("was ended by SIGKILL")
    assert work.report() == {"shard": 4, "images": ["a", "b"], "deaths": 1, "why": "was ended by SIGKILL"}
