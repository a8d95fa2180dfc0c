"""Text handling with cases worked by hand. Nothing here may depend on English."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sena.errors import SenaError
from sena.text import (
    after_label,
    fill,
    holds,
    join,
    letters_share,
    normalise,
    printable,
    questions,
    repeats,
    sentences,
    words,
)

HOSTILE = [
    "<image>",
    "</s>",
    "USER: hi",
    " ASSISTANT: ",
    "<|im_end|>",
    "{question}",
    "{answer}{description}",
    r"\1 \g<0>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_value_goes_in_as_it_is(text: str) -> None:
    """The released code replaces in a chain, so an answer that holds a placeholder is filled in its turn."""
    assert fill("Q {question} A {answer}", question=text, answer="{question}") == f"Q {text} A {{question}}"


@given(st.text(), st.text())
def test_fill_is_one_pass_for_any_text(first: str, second: str) -> None:
    assert fill("{a}|{b}|{a}", a=first, b=second) == f"{first}|{second}|{first}"


def test_fill_leaves_other_braces_and_names_a_missing_value() -> None:
    assert fill('{"key": {a}} {} {1}', a="x") == '{"key": x} {} {1}'
    with pytest.raises(SenaError, match=r"\{other\}.*known here: a"):
        fill("{other}", a="x")


def test_join_puts_one_space_unless_the_suffix_brings_its_own() -> None:
    assert join("what ?", "in one word .") == "what ? in one word ."
    assert join("What?", "\nBriefly.") == "What?\nBriefly."
    assert join("What?", "") == "What?"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \n ", []),
        ("no mark at all", ["no mark at all"]),
        ("A dog. A cat! Two?", ["A dog.", "A cat!", "Two?"]),
        ("It costs 3.5 euros. Good.", ["It costs 3.5 euros.", "Good."]),
        ("Where is Dr. No? There.", ["Where is Dr. No?", "There."]),
        ('He said "Go." Then he left.', ['He said "Go."', "Then he left."]),
        ("first line\nsecond line", ["first line", "second line"]),
        ("what colour is it ? red .", ["what colour is it ?", "red ."]),
        ("你好。这是什么？一只狗！", ["你好。", "这是什么？", "一只狗！"]),
        ("什么？“是吗？”对", ["什么？", "“是吗？”", "对"]),
        ("这是什么?是狗.", ["这是什么?", "是狗."]),
        ("Was ist „das?“ Ein Hund.", ["Was ist „das?“", "Ein Hund."]),
        ("Wait... what?! Yes…", ["Wait...", "what?!", "Yes…"]),
        ("ما هذا؟ كلب.", ["ما هذا؟", "كلب."]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A red car.", []),
        ("?", []),
        ("I see a car. What colour is it?", ["What colour is it?"]),
        ("What is it? Where is it?", ["What is it?", "Where is it?"]),
        ('"What is it?"', ["What is it?"]),
        ("**What is it?**", ["What is it?"]),
        ('Who wrote "Why?"', ['Who wrote "Why?"']),
        ("1. What is it?", ["What is it?"]),
        ("这是什么？", ["这是什么？"]),
        ("「これは何？」", ["これは何？"]),
    ],
)
def test_questions(text: str, expected: list[str]) -> None:
    assert questions(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Improved answer: a red car", "a red car"),
        ("improved answer : a red car .", "a red car ."),
        ("IMPROVED ANSWER:\na red car", "a red car"),
        ("**Improved Answer:**\na red car", "a red car"),
        ("**Improved  Answer**： a red car", "a red car"),
        ("**Improved answer: a red car**", "a red car"),
        ("Sure. Improved\nanswer:a *red* car", "a *red* car"),
        ("Improved answer:", ""),
        ("An unimproved answer: x", None),
        ("The improved answers: x", None),
        ("improved answer", None),
        ("a red car", None),
    ],
)
def test_after_label(text: str, expected: str | None) -> None:
    assert after_label(text, "Improved answer:") == expected


def test_a_label_in_a_script_without_spaces() -> None:
    assert after_label("好的，更好的回答：红色", "更好的回答：") == "红色"
    assert after_label("好的更好的回答: 红色", "更好的回答：") == "红色"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is it?", "what is  it"),
        ("What is it ?", '"What is it?"'),
        ("Ｗｈａｔ？", "what?"),
        ("STRASSE", "straße"),
        ("这是什么？", "这是什么"),
        ("e\u0301", "\u00e9"),
    ],
)
def test_normalise_makes_equal(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(("one", "other"), [("-3", "3"), (".5", "5"), ("red", "reds"), ("红色", "绿色"), ("C#", "C")])
def test_normalise_keeps_apart(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize(
    ("text", "part", "expected"),
    [
        ("A red car.", "Red car", True),
        ("cat", "at", False),
        ("concatenate the cat", "cat", True),
        ("红色的车", "红色", True),
        ("red", "", False),
        ("a car", "a red car", False),
    ],
)
def test_holds_whole_words(text: str, part: str, expected: bool) -> None:
    assert holds(text, part) is expected


@pytest.mark.parametrize(
    ("text", "share"),
    [("", 0.0), ("   ", 0.0), ("red car", 1.0), ("12:30", 0.8), ("红色。", 2 / 3), ("हिन्दी", 1.0), ("!?#a", 0.25)],
)
def test_letters_share(text: str, share: float) -> None:
    assert letters_share(text) == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A dog. A cat.", False),
        ("A dog. a dog!", True),
        ("一只狗。一只狗。", True),
        ("the " * 30, False),
        ("the " * 31, True),
        ("红" * 31, True),
        ("... ... ...", False),
    ],
)
def test_repeats(text: str, expected: bool) -> None:
    assert repeats(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("one\r\ntwo\rthree", "one\ntwothree"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]unclosed, and yet all is seen", "unclosed, and yet all is seen"),
        ("\x9b2Jgone", "gone"),
        ("user\u202egnp.exe", "usergnp.exe"),
        ("nul\x00 bel\x07 del\x7f \ufeff\u2066x", "nul bel del x"),
        ("می\u200cخواهم 👩\u200d🚀", "می\u200cخواهم 👩\u200d🚀"),
        ("half \ud800 pair", "half  pair"),
    ],
)
def test_printable(text: str, expected: str) -> None:
    assert printable(text) == expected


@given(st.text())
def test_no_text_breaks_anything(text: str) -> None:
    assert printable(printable(text)) == printable(text)
    assert "\x1b" not in printable(text)
    assert normalise(normalise(text)) == normalise(text)
    assert all(question in text for question in questions(text))
    after_label(text, "Improved answer:")
    repeats(text)
    assert 0.0 <= letters_share(text) <= 1.0


@pytest.mark.parametrize(
    "unit", [".", "。", "?", "*", "improved answer ", '."', "a. ", "\x1b]", "\x1b[", "红", '。"', "{"]
)
def test_a_model_that_loops_costs_no_time(unit: str) -> None:
    """60,000 characters and more: linear work takes well under a second, quadratic work minutes."""
    text = unit * (60_000 // len(unit)) + "x"
    started = time.monotonic()
    questions(text)
    after_label(text, "Improved answer:")
    repeats(text)
    holds(text, text[:100])
    printable(text)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("A red car, isn't it?", ["A", "red", "car", "isn't", "it"]),
        ("at top-left a cup .", ["at", "top-left", "a", "cup"]),
        ("红色的车。", ["红", "色", "的", "车"]),
        ("... !", []),
    ],
)
def test_words(said: str, expected: list[str]) -> None:
    assert words(said) == expected
