"""Support: scores on the clean and the spoiled picture, samples ranked by it, and pairs judged by it."""

from __future__ import annotations

from typing import Any

import pytest

from sena.records import Reply, Request, Row, Score
from sena.stages import make_stages, pairs_of, sift
from sena.stages.config import CorruptionConfig, FiltersConfig, SamplesConfig
from sena.stages.support import Rank, Sample, Support, supports
from tests.stages.make import ANSWER, CONTEXT, DESCRIBE, stages_config

ROW = Row(
    *("r", "i"),
    describe_prompt="D0 short.",
    answer_prompt="What? briefly.",
    enhanced_description="A cat.",
    enhanced_answer="cat",
)
NOISE = CorruptionConfig()


def score(request: Request, mean: float) -> Score:
    return Score(request.id, mean * 4, mean, 4)


def test_support_is_what_the_clean_picture_adds_a_token() -> None:
    """-1.0 clean against -1.5 spoiled: 0.5 nats a token; -2 against -1: -1."""
    scores = [
        Score("a", -4.0, -1.0, 4),
        Score("b", -6.0, -1.5, 4),
        Score("c", -2.0, -2.0, 1),
        Score("d", -1.0, -1.0, 1),
    ]
    assert supports(scores) == [0.5, -1.0]


def test_both_chosen_texts_are_scored_on_both_pictures() -> None:
    asked = Support(NOISE).ask(ROW, CONTEXT)
    assert [(request.answer, request.prompt, request.corruption is None) for request in asked] == [
        ("A cat.", "D0 short.", True),
        ("A cat.", "D0 short.", False),
        ("cat", "What? briefly.", True),
        ("cat", "What? briefly.", False),
    ]
    assert len({request.id for request in asked}) == 4
    means = [-1.0, -1.5, -2.0, -1.0]
    (row,) = taken(Support(NOISE), [score(*each) for each in zip(asked, means, strict=True)])
    assert (row.support_description, row.support_answer) == (0.5, -1.0)


def test_without_a_picture_is_a_way_to_spoil_it() -> None:
    asked = Support(CorruptionConfig(kind="no_image")).ask(ROW, CONTEXT)
    assert [request.image for request in asked] == ["i", None, "i", None]


def test_pairs_that_the_picture_does_not_support_are_dropped() -> None:
    config = stages_config(FiltersConfig(names=("unsupported",)))
    row = Row("r", "i", enhanced_description="A cat.", rejected_description="A dog.", enhanced_answer="cat",
              rejected_answer="dog", support_description=0.5, support_answer=0.0)  # fmt: skip
    judged = sift(pairs_of(row, CONTEXT, config), row, [], config)
    assert [(pair.kind, pair.support, why) for pair, why in judged] == [
        ("description", 0.5, None),
        ("answer", 0.0, "unsupported"),
    ]


@pytest.mark.parametrize(("chosen", "rejected", "reason"), [
    ("abcd", "abcdef", None),  # 6 / 4 is not more than 1.5
    ("abcd", "abcdefg", "unlike lengths"),
    ("abcdefg", "abcd", "unlike lengths"),
    ("红色的车", "红色的一辆车", None),
])  # fmt: skip
def test_length_matching_counts_characters(chosen: str, rejected: str, reason: str | None) -> None:
    config = stages_config(FiltersConfig(names=("unlike_lengths",)))
    row = Row("r", "i", enhanced_answer=chosen, rejected_answer=rejected)
    assert sift(pairs_of(row, CONTEXT, config), row, [], config)[1][1] == reason


SAMPLES = SamplesConfig(count=3)
SAMPLER = Sample(DESCRIBE, ANSWER, SAMPLES)


def test_samples_have_seeds_of_their_own_and_the_right_prompts() -> None:
    asked = SAMPLER.ask(ROW, CONTEXT)
    assert [request.prompt for request in asked] == ["D0 short."] * 3 + ["What? briefly."] * 3
    assert len({request.seed for request in asked}) == 6
    assert {request.temperature for request in asked} == {1.0}


def test_a_cut_sample_is_no_candidate() -> None:
    said = [Reply(str(number), text, text != "b") for number, text in enumerate("abcdef")]
    (row,) = taken(SAMPLER, said)
    assert (row.sampled_descriptions, row.sampled_answers, row.cut) == (("a", "c"), ("d", "e", "f"), ())
    (row,) = taken(SAMPLER, [Reply(reply.id, reply.text, False) for reply in said])
    assert row.cut == ("sampled_description", "sampled_answer")


def test_best_and_worst_by_support() -> None:
    """Supports of the descriptions 0.1, 0.9, 0.5 and of the answers 0.2, -0.3."""
    row = Row("r", "i", sampled_descriptions=("a", "b", "c"), sampled_answers=("d", "e"))
    stage = Rank(NOISE, SAMPLES)
    asked = stage.ask(row, CONTEXT)
    means = [-1.0, -1.1, -1.0, -1.9, -1.0, -1.5, -1.0, -1.2, -1.0, -0.7]
    (made,) = taken(stage, [score(*each) for each in zip(asked, means, strict=True)], row)
    assert (made.enhanced_description, made.rejected_description) == ("b", "a")
    assert (made.enhanced_answer, made.rejected_answer) == ("d", "e")
    assert made.support_description == pytest.approx(0.9)


def test_the_recipe_chooses_the_stages() -> None:
    def names(**changes: Any) -> list[str]:
        return [stage.name for stage in make_stages(stages_config().model_copy(update=changes))]

    config = stages_config()
    assert names() == ["question", "check", "answer", "enhance", "reject"]
    assert names(check=config.check.model_copy(update={"enabled": False})) == [
        "question",
        "answer",
        "enhance",
        "reject",
    ]
    assert names(filters=FiltersConfig(names=("unsupported",)))[-1] == "support"
    assert names(samples=SAMPLES) == ["question", "check", "answer", "sample", "rank"]
    spoiled = SamplesConfig(count=2, rejected="spoiled")
    assert names(samples=spoiled) == ["question", "check", "answer", "sample", "rank", "reject"]


def test_without_enhancement_the_plain_answer_is_chosen() -> None:
    config = stages_config()
    config = config.model_copy(update={"enhance": config.enhance.model_copy(update={"enabled": False})})
    stage = make_stages(config)[3]
    row = Row("r", "i", description="A cat.", answer="cat", cut=("answer",))
    assert stage.ask(row, CONTEXT) == []
    (made,) = taken(stage, [], row)
    assert (made.enhanced_description, made.enhanced_answer) == ("A cat.", "cat")
    assert made.cut == ("answer", "enhanced_answer")


def test_a_strength_of_its_own_for_every_picture() -> None:
    config = CorruptionConfig(strength=800, strength_from=400)
    rows = [Row("r", f"picture {number}") for number in range(200)]
    stage = make_stages(stages_config().model_copy(update={"corruption": config}))[-1]
    drawn = [request.corruption.strength for row in rows for request in stage.ask(row, CONTEXT) if request.corruption]
    assert drawn[::2] == drawn[1::2]  # one for both answers of a picture
    assert 400 <= min(drawn) < 440
    assert 760 < max(drawn) <= 800
    assert all(strength == int(strength) for strength in drawn)


def test_rejected_answers_may_be_sampled() -> None:
    config = CorruptionConfig(kind="none", temperature=1.0)
    stage = make_stages(stages_config().model_copy(update={"corruption": config}))[-1]
    assert {request.temperature for request in stage.ask(ROW, CONTEXT)} == {1.0}


def taken(stage: Any, replies: list[Any], row: Row = ROW) -> list[Row]:
    made = stage.take(row, replies, CONTEXT)
    assert isinstance(made, list)
    return made
