"""Finding things that are named in a text, from lists of words: singular forms, phrases, and the lists themselves."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from sena.errors import SenaError
from sena.evals.reading import present

_WORD = re.compile(r"[a-z0-9]+(?:['’-][a-z0-9]+)*")
_IRREGULAR = {
    "people": "person", "men": "man", "women": "woman", "children": "child", "mice": "mouse", "geese": "goose",
    "feet": "foot", "teeth": "tooth", "oxen": "ox", "policemen": "policeman", "firemen": "fireman",
    "snowmen": "snowman", "salesmen": "salesman", "fishermen": "fisherman", "gentlemen": "gentleman",
    "businessmen": "businessman", "cowmen": "cowman",
}  # fmt: skip


def words_of(text: str) -> list[str]:
    """Lower-case words of a text; apostrophes and hyphens inside of words stay."""
    return _WORD.findall(text.lower())


def singulars(word: str) -> list[str]:
    """`word` and what it may be the plural of, the likeliest first. The caller keeps what its word list knows."""
    found = [word]
    bare = re.sub(r"['’]s$", "", word)
    if bare != word:
        found.append(bare)
    if bare in _IRREGULAR:
        found.append(_IRREGULAR[bare])
    if bare.endswith("ies"):
        found.append(f"{bare[:-3]}y")
    if bare.endswith("ves"):
        found += [f"{bare[:-3]}f", f"{bare[:-3]}fe"]
    if bare.endswith("s") and not bare.endswith("ss"):
        found.append(bare[:-1])
    if bare.endswith("es"):
        found.append(bare[:-2])
    if bare.endswith("zzes") or bare.endswith("sses"):
        found.append(bare[:-3])
    return found


def known(word: str, vocabulary: Collection[str]) -> str | None:
    """The form of `word` that `vocabulary` holds, or None. Of a phrase only the last word is tried in the singular."""
    *head, last = word.split(" ")
    for form in singulars(last):
        if (phrase := " ".join([*head, form])) in vocabulary:
            return phrase
    return None


def mentions(text: str, names: Mapping[str, str | None], longest: int = 3) -> list[str]:
    """The objects that `text` names, in order, each as often as it is named.

    `names` maps words and phrases to objects; None hides a phrase whose words would mislead ("home plate"). Where a
    phrase is found, its words are not read again: a hot dog is no dog.
    """
    words, found, place = words_of(text), [], 0
    while place < len(words):
        for size in range(min(longest, len(words) - place), 0, -1):
            name = known(" ".join(words[place : place + size]), names)
            if name is not None:
                found.append(names[name])
                place += size
                break
        else:
            place += 1
    return [each for each in found if each is not None]


def read_synonyms(path: Path) -> dict[str, str]:
    """A synonyms file: one object a line, its name first, then its other names, commas between; `#` begins a remark.

    Raises SenaError for a file that names no object. Where two objects share a name the later line has it, as in
    CHAIR's own code.
    """
    lines = [line.partition("#")[0] for line in present(path).read_text(encoding="utf-8").splitlines()]
    rows = [[" ".join(each.lower().split()) for each in line.split(",")] for line in lines if line.strip()]
    table = {word: row[0] for row in rows for word in row if word}
    if not table:
        raise SenaError(f"{path} names no object: write one a line, its name first, then synonyms, with commas between")
    return table


def objects(names: Iterable[str], table: Mapping[str, str], path: Path) -> list[str]:
    """Objects by their names in `table`. Raises SenaError naming one that it lacks."""
    lacks = sorted({name for name in names if name not in table})
    if lacks:
        raise SenaError(f"{path} has no line for {', '.join(lacks)}: add it, the truth names this object")
    return [table[name] for name in names]
