"""Where two texts differ, word by word, and how much of a long one is shown."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from sena.text import printable, unspaced

Pieces = list[tuple[bool, str]]
"""A text in pieces, each with whether it stands in this text only."""
MOST_WORDS = 600  # comparing is quadratic
MOST_CHARACTERS = 2000
_WORDS = re.compile(r"\s+|[^\W_]+|.", re.DOTALL)


def clip(text: str, most: int = MOST_CHARACTERS) -> str:
    """A text as the page shows it: without control characters, and cut where it would drown the rest."""
    text = printable(text)
    return text if len(text) <= most else f"{text[:most]} … ({len(text) - most} more characters)"


def compare(chosen: str, rejected: str) -> tuple[Pieces, Pieces]:
    """Both texts in pieces, each marked whether it stands in this text only. Very long texts are not compared."""
    left, right = _split(chosen), _split(rejected)
    if max(len(left), len(right)) > MOST_WORDS:
        return [(False, chosen)], [(False, rejected)]
    matcher = difflib.SequenceMatcher(None, [w.casefold() for w in left], [w.casefold() for w in right], autojunk=False)
    kept, gone = [], []
    for tag, from_left, to_left, from_right, to_right in matcher.get_opcodes():
        kept.append((tag != "equal", "".join(left[from_left:to_left])))
        gone.append((tag != "equal", "".join(right[from_right:to_right])))
    return [piece for piece in kept if piece[1]], [piece for piece in gone if piece[1]]


def _split(text: str) -> list[str]:
    """Words, runs of white space and single marks; scripts without spaces character by character."""
    return list(_pieces(text))


def _pieces(text: str) -> Iterator[str]:
    for match in _WORDS.finditer(text):
        if any(unspaced(character) for character in match[0]):
            yield from match[0]
        else:
            yield match[0]
