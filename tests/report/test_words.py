"""Figures in words: what may be claimed and what may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from sena.progress import duration
from sena.report.costs import costs, size
from sena.report.meanings import label
from sena.report.read import Figure, RoundData
from sena.report.words import Story, tell, verdict
from sena.runs.folder import RunFolder


def figure(value: float, half: float = 0.01) -> Figure:
    return {"value": value, "low": value - half, "high": value + half, "n": 100.0}


def told(**differences: float) -> Story:
    """A base and one round whose metrics moved by `differences`, each with an interval of 0.01 to both sides."""
    run = RunFolder(Path("nowhere"))
    base = RoundData(run.round(0), {name: figure(0.5) for name in differences})
    after = {name: figure(0.5 + change) for name, change in differences.items()}
    return tell([base, RoundData(run.round(1), after, {name: figure(change) for name, change in differences.items()})])


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("chair_i", -0.02, "better"),
        ("chair_i", 0.02, "worse"),
        ("coverage", 0.02, "better"),
        ("coverage", -0.02, "worse"),
        ("coverage", 0.01, "same"),  # the interval just touches zero
        ("length", 0.02, "changed"),
        ("nobody described this", 0.02, "changed"),
    ],
)
def test_verdicts_follow_direction_and_interval(name: str, change: float, expected: str) -> None:
    assert verdict(name, figure(change)) == expected


def test_without_a_difference_nothing_is_claimed() -> None:
    assert verdict("chair_i", None) == "unknown"


def test_a_drop_of_hallucination_is_told_with_its_paired_interval() -> None:
    story = told(chair_i=-0.035, coverage=0.0)
    assert (story.tone, story.headline) == ("good", "After round 1 the model hallucinates less.")
    expected = "CHAIR_i fell from 0.500 to 0.465 (-0.035, 95 % interval -0.045 to -0.025)."
    assert story.changes[0].sentence == expected
    assert "no change that the interval can tell from none" in story.changes[1].sentence


def test_what_was_lost_stands_in_the_headline() -> None:
    story = told(chair_i=-0.035, coverage=-0.05)
    assert story.tone == "mixed"
    assert story.headline == "After round 1 the model hallucinates less, but is worse at naming what is there."
    assert story.proof == (
        "Share of mentioned things that are not in the picture (CHAIR_i): 50.0 % before, 46.5 % now. "
        "Of 2 metrics 1 got better, 1 got worse."
    )


def test_of_many_losses_a_few_are_named() -> None:
    names = ("coverage", "attribute", "vqa", "pope_random", "pope_popular")
    story = told(**dict.fromkeys(names, -0.05))
    assert story.headline == (
        "After round 1 the model is worse at naming what is there, naming colours, yes/no questions about random "
        "things and 2 others; nothing got better that the intervals can tell."
    )
    assert story.proof == "Of 5 metrics none got better, 5 got worse."


def test_hallucination_is_known_on_benchmarks_of_files_too() -> None:
    story = told(**{"chair/chair_i_512": -0.05, "pope/f1": 0.0})
    assert story.headline == "After round 1 the model hallucinates less."
    assert "in at most 512 tokens (chair: chair_i_512): 50.0 % before, 45.0 % now." in story.proof


def test_an_arrow_says_which_way_is_good_and_a_label_of_which_benchmark_it_is() -> None:
    names = ("chair_i", "coverage", "length", "pope/f1", "chair/chair_s_64", "random/split/x", "own")
    assert [label(name) for name in names] == [
        "CHAIR_i ↓", "coverage ↑", "length", "pope: f1 ↑", "chair: chair_s_64 ↓", "random/split/x", "own",
    ]  # fmt: skip


def test_no_change_is_said_to_be_none() -> None:
    story = told(chair_i=-0.005, coverage=0.005)
    assert story.tone == "none"
    assert "no better and no worse" in story.headline


def test_worse_is_said_to_be_worse() -> None:
    story = told(chair_i=0.05)
    assert (story.tone, story.headline) == ("bad", "After round 1 the model hallucinates more.")


def test_without_chair_the_metrics_are_named() -> None:
    assert "better at short questions and worse at naming what is there" in told(coverage=-0.05, vqa=0.05).headline


def test_saying_less_is_told_apart() -> None:
    run = RunFolder(Path("nowhere"))
    base = RoundData(run.round(0), {"chair_i": figure(0.5)})
    to_base = {"chair_i": figure(-0.1), "chair_i_equal": figure(0.0)}
    story = tell([base, RoundData(run.round(1), {"chair_i": figure(0.4)}, to_base)])
    assert "no change can be told from none" in story.notes[0]


def test_only_the_base_so_far() -> None:
    story = tell([RoundData(RunFolder(Path("nowhere")).round(0), {"chair_i": figure(0.1)})])
    assert story.tone == "unknown"
    assert "no round has been judged yet" in story.headline


def test_costs_are_sums_and_pairs_a_second_are_those_of_the_data_half() -> None:
    """4 pairs in 8 seconds of making them: 0.5 a second, whatever the training took."""

    class Counted(RoundData):
        rows = {"images": 3, "pairs": 4}  # type: ignore[assignment]  # noqa: RUF012

    lines = [
        {"round": 1, "stage": "pairs", "step": 0, "seconds": 8.0, "count": 3, "peak_rss_bytes": 5},
        {"round": 1, "stage": "train", "step": 0, "seconds": 2.0, "count": 2, "peak_rss_bytes": 7},
        {"round": 1, "stage": "train", "step": 1, "loss/dpo": 0.7},
    ]
    found = costs([Counted(RunFolder(Path("nowhere")).round(1))], lines)
    assert (found.seconds, found.images, found.pairs, found.pairs_per_second, found.memory) == (10.0, 3, 4, 0.5, 7)
    assert found.stages[1].rate == 1.0


def test_stages_are_summed_over_rounds_with_what_they_count() -> None:
    """900 images in 6 + 3 seconds; a part's seconds do not count twice in the whole."""
    lines = [
        {"round": number, "stage": name, "step": 0, "seconds": seconds, "count": count, "peak_rss_bytes": number}
        for number, name, seconds, count in [
            (1, "pairs", 6.0, 600), (1, "pairs/check", 2.0, 600), (1, "train", 1.0, 8),
            (2, "pairs", 3.0, 300), (2, "pairs/check", 1.0, 300),
        ]
    ]  # fmt: skip
    found = costs([], lines)
    told = [(each.name, each.seconds, each.count, each.unit, each.memory, each.is_part) for each in found.sums]
    assert told == [
        ("pairs", 9.0, 900, "images", 2, False), ("pairs/check", 3.0, 900, "images", 2, True),
        ("train", 1.0, 8, "steps", 1, False),
    ]  # fmt: skip
    assert found.seconds == 10.0


def test_durations_and_sizes_for_people() -> None:
    assert [duration(seconds) for seconds in (0.5, 42, 200, 7500)] == ["0.5 s", "42 s", "3 min 20 s", "2 h 05 min"]
    assert [size(count) for count in (12, 2500, 3e6, 2.5e9)] == ["12 B", "2 kB", "3 MB", "2.5 GB"]
