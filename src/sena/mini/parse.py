"""Reads a description back into mentions. What the grammar does not know counts as a wrong mention, never as none."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sena.mini import world
from sena.mini.world import Scene

_CLAUSE = re.compile(
    rf"at ({'|'.join(world.PLACES)}) an? ({'|'.join(world.COLOURS)}) ({'|'.join(world.KINDS)})"
    rf"(?: with an? ({'|'.join(world.COMPANIONS.values())}))?"
)
_TOKEN = re.compile(r"[\w\-]+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Mention:
    """One thing that a description speaks of.

    `word` is empty for text outside the grammar; `colour` and `place` are empty for companions. `end` counts the
    description's words up to and with the clause that the mention is in.
    """

    word: str
    colour: str = ""
    place: str = ""
    end: int = 0


@dataclass(frozen=True, slots=True)
class Parsed:
    """All mentions in order; `complete` says that every word fitted the grammar, the full stop included."""

    mentions: tuple[Mention, ...]
    complete: bool
    length: int


def words_of(text: str) -> list[str]:
    """Lower-case words and marks, as the miniature tokenizer splits them."""
    return _TOKEN.findall(text.lower())


def parse(text: str) -> Parsed:
    """`at top a red plate with a fork , at left a blue ball .` gives plate, fork and ball."""
    words = words_of(text)
    mentions: list[Mention] = []
    complete = bool(words) and words[-1] == "."
    clause: list[str] = []
    for number, word in enumerate([*words, "."], start=1):
        if word not in (",", "."):
            clause.append(word)
            continue
        if clause:
            found = _read(" ".join(clause), min(number - 1, len(words)))
            complete = complete and bool(found[0].word)
            mentions += found
        elif number <= len(words):
            complete = False  # two marks in a row
        clause = []
    if "." in words[:-1]:
        complete = False
    return Parsed(tuple(mentions), complete, len(words))


def _read(clause: str, end: int) -> list[Mention]:
    match = _CLAUSE.fullmatch(clause)
    if match is None:
        return [Mention("", end=end)]
    place, colour, kind, companion = match.groups()
    found = [Mention(kind, colour, place, end)]
    return [*found, Mention(companion, end=end)] if companion else found


def is_true(mention: Mention, scene: Scene) -> bool:
    """A mention is true when its kind is in the picture, wherever that may be."""
    return mention.word in scene.words


def colour_is_true(mention: Mention, scene: Scene) -> bool:
    thing = scene.thing(mention.word)
    return thing is not None and thing.colour == mention.colour
