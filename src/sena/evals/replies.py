"""What a short answer says: yes or no, a choice's letter, or words as the VQA servers compare them."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORD = re.compile(r"[^\W_]+")


def pope_says_no(text: str) -> bool:
    """POPE's own parser: no where the text up to its first full stop has No, not or no among its words.

    Words are what stands between single spaces, commas taken out; everything else is yes, an empty answer too.
    """
    words = text.split(".")[0].replace(",", "").split(" ")
    return bool({"No", "not", "no"} & set(words))


def yes_or_no(text: str) -> str:
    """The strict parser: `yes` or `no` where the first word is that, in any case, else an empty string."""
    first = _WORD.search(text)
    word = first[0].lower() if first else ""
    return word if word in ("yes", "no") else ""


def letter(text: str, choices: Sequence[str]) -> str:
    """The letter that an answer chooses, or an empty string.

    In this order: the letter alone, also with brackets, a stop or the choice behind it ("B", "(b)", "B. cat"); one
    capital letter after the word "answer" or "option" ("the answer is B"); the one choice whose text is the answer.
    """
    letters = "ABCDEFGH"[: len(choices)]
    bare = text.strip()
    if found := re.fullmatch(rf"\(?([{letters}{letters.lower()}])[).:,]*", bare):
        return found[1].upper()
    if found := re.match(rf"\(?([{letters}])(?:[).:,：、]|\s*$)", bare):
        return found[1]
    told = set(re.findall(rf"(?i:answer|option)(?:\s+is)?\W*\(?\b([{letters}])\b", bare))
    if len(told) == 1:
        return told.pop()
    same = [mark for mark, choice in zip(letters, choices, strict=True) if _plain(choice) == _plain(bare)]
    return same[0] if len(same) == 1 else ""


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(".")


# The VQA servers put apostrophes back into these; each is also met with either of two apostrophes missing.
_CONTRACTIONS = """ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't
he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've
needn't not've o'clock oughtn't shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's
someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've there're
there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've
when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've wouldn't
wouldn't've 'ow's'at y'all y'all'll y'all'd've you'd you'd've you'll you're you've"""
_DIGITS = "zero one two three four five six seven eight nine ten"
_NUMBERS = {word: str(number) for number, word in enumerate(_DIGITS.split())} | {"none": "0"}
_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'


def _spellings(word: str) -> list[str]:
    """`word` with any one of its apostrophes left out."""
    return [word[:place] + word[place + 1 :] for place, mark in enumerate(word) if mark == "'"]


_APOSTROPHES = {bare: word for word in _CONTRACTIONS.split() for bare in _spellings(word)} | {"somebody'd": "somebodyd"}


def normalise(text: str) -> str:
    """An answer as the VQA, TextVQA and VizWiz servers compare it.

    Lower case; no comma, question mark, article or full stop (but in 3.5); number words as digits; apostrophes put
    back; other punctuation removed where a space is beside it anywhere in the text, else replaced by a space.
    """
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    text = before = text.replace("\n", " ").replace("\t", " ").strip()
    for mark in _PUNCTUATION:
        text = text.replace(mark, "" if f"{mark} " in before or f" {mark}" in before else " ")
    text = re.sub(r"\.(?!\d)", "", text)
    words = (_NUMBERS.get(word, word) for word in text.split())
    return " ".join(_APOSTROPHES.get(word, word) for word in words if word not in ("a", "an", "the"))


def vqa_accuracy(text: str, answers: Sequence[str]) -> float:
    """How far people agree with an answer: each of them is left out once, and the share of the others who gave it,
    three counting as full, is averaged (VQA, arXiv 1505.00468). `answers` are usually ten."""
    said, given = normalise(text), [normalise(each) for each in answers]
    same = sum(each == said for each in given)
    points = [min(1.0, (same - (each == said)) / 3) for each in given]
    return sum(points) / len(points) if points else 0.0
