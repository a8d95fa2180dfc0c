"""Every filter with cases worked by hand, ours beside the released code's."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from sena.records import Pair, Row
from sena.stages import sift
from sena.stages.config import FilterName, FiltersConfig
from sena.stages.filters import FILTERS, Case, reason_against
from tests.stages.make import stages_config


def pair(chosen: str, rejected: str, prompt: str = "What?", image: str = "i") -> Pair:
    return Pair("p", "r", image, "answer", prompt, chosen, rejected, plain=chosen)


def reason(name: FilterName, chosen: str, rejected: str, prompt: str = "What?", **settings: Any) -> str | None:
    config = FiltersConfig(names=(name,), **settings)
    return reason_against(Case(pair(chosen, rejected, prompt), config))


def test_every_name_has_its_filter_and_the_other_way_round() -> None:
    assert set(FILTERS) == set(get_args(FilterName))


LONG = "the " * 31


@pytest.mark.parametrize(
    ("name", "chosen", "rejected", "expected"),
    [
        ("empty", "car", " ", "empty"),
        ("empty", "", "car", "empty"),
        ("empty", "car", "dog", None),
        ("identical", "Red car.", "red  car", "identical"),
        ("identical", "红色。", "红色", "identical"),
        ("identical", "3", "-3", None),
        ("repetitive", "A dog. A dog.", "A cat.", "repetitive"),
        ("repetitive", "A cat.", LONG, "repetitive"),
        ("repetitive", "A cat.", "A dog.", None),
        ("no_letters", "car", "?!", "no letters"),
        ("no_letters", "红色的车", "绿色的车", None),
        ("no_letters", "Привет", "हिन्दी", None),
        ("no_letters", "3", "12:30", None),
        ("yes_no", "Yes.", "No", "yes or no"),
        ("yes_no", "a car", '"no"', "yes or no"),
        ("yes_no", "是的。", "一只狗", "yes or no"),
        ("yes_no", "yes .", "no .", "yes or no"),
        ("yes_no", "No dogs", "Two dogs", None),
        ("contained", "Red car", "Red", "contained"),
        ("contained", "cat", "at", None),
        ("contained", "A dog.", "a dog and a cat", None),  # what is too much may be what is not there
        ("contained", "红色的车", "红色", "contained"),
    ],
)
def test_our_filters(name: FilterName, chosen: str, rejected: str, expected: str | None) -> None:
    assert reason(name, chosen, rejected) == expected


@pytest.mark.parametrize(
    ("name", "chosen", "rejected", "expected"),
    [
        ("identical_exact", "car", "car", "identical"),
        ("identical_exact", "car", "Car", None),
        ("latin_half", "红色的车", "绿色的车", "few latin letters"),
        ("latin_half", "a b", "car", None),  # one of three is outside
        ("latin_half", "a - b", "car", "few latin letters"),  # three of five are outside
        ("latin_half", "", "car", "few latin letters"),
        ("yes_no_exact", "Yes", "car", "yes or no"),
        ("yes_no_exact", "car", "No\n", "yes or no"),
        ("yes_no_exact", "Yes.", "No.", None),
        ("yes_no_exact", "Yes, it is", "no", None),
        ("contained_one_sided", "Red car", "Red", None),
        ("contained_one_sided", "cat", "at", "contained"),
        ("contained_one_sided", "red\ncar", "dc", "contained"),  # across the glued line break
    ],
)
def test_the_released_filters(name: FilterName, chosen: str, rejected: str, expected: str | None) -> None:
    assert reason(name, chosen, rejected) == expected


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("What is the name?", "banned text"),
        ("Which tournament is it?", "banned text"),
        ("What ornament is it?", "banned text"),
        ("Name it?", None),
        ("What is it?", None),
    ],
)
def test_name_is_a_substring_as_released(prompt: str, expected: str | None) -> None:
    assert reason("banned_text", "a", "b", prompt, banned=("name",)) == expected


def test_thresholds_and_words_can_be_set() -> None:
    assert reason("repetitive", "a b a", "x", most_repeats=1) == "repetitive"
    assert reason("no_letters", "ab!", "x", letters_share=0.7) == "no letters"
    assert reason("yes_no", "Yep", "x", yes_no_words=("aye",)) is None
    assert reason("yes_no", "AYE!", "x", yes_no_words=("aye",)) == "yes or no"


def sifted(pairs: list[Pair], earlier: list[Pair], row: Row, **settings: Any) -> list[tuple[Pair, str | None]]:
    return sift(pairs, row, earlier, stages_config(FiltersConfig(**settings)))


ROW = Row("r", "i")


def test_a_cut_text_ends_its_own_pair_only() -> None:
    for field, expected in [("enhanced_answer", "truncated"), ("rejected_answer", "truncated"), ("answer", None)]:
        assert sifted([pair("car", "dog")], [], Row("r", "i", cut=(field,)))[0][1] == expected
    for field in ("enhanced_description", "rejected_description", "question", "description"):
        assert sifted([pair("car", "dog")], [], Row("r", "i", cut=(field,)))[0][1] is None


def test_a_pair_twice_is_a_duplicate_within_its_picture() -> None:
    again = pair("Car.", "dog", prompt="what")
    assert sifted([again], [pair("car", "dog")], ROW) == [(again, "duplicate")]
    assert sifted([again], [pair("car", "dog", image="j")], ROW) == [(again, None)]
    assert sifted([again], [pair("car", "cat")], ROW) == [(again, None)]
    assert sifted([pair("car", "dog"), again], [], ROW)[1] == (again, "duplicate")
    assert sifted([pair("car", "Car"), pair("car", "Car")], [], ROW)[1][1] == "identical"  # the first was not kept


def test_the_first_filter_that_objects_gives_the_reason() -> None:
    assert sifted([pair("yes", "Yes")], [], ROW)[0][1] == "identical"
    assert sifted([pair("yes", "Yes")], [], ROW, names=("yes_no", "identical"))[0][1] == "yes or no"


def test_a_recipe_can_leave_filters_out() -> None:
    assert sifted([pair("yes", "no")], [], ROW, names=())[0][1] is None


def test_lines_are_glued_as_released() -> None:
    """The line break goes, with nothing in its place: two words become one."""
    lines = pair("a red\ncar</s>", "dog")
    kept, reason = sifted([lines], [], ROW, newlines="glue", names=("identical_exact",))[0]
    assert (kept.chosen, kept.plain, kept.rejected, reason) == ("a redcar", "a redcar", "dog", None)
    assert sifted([lines], [], ROW)[0][0] == lines
