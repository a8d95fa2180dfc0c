"""What is done to model text: put into prompts, cut into sentences, compared, judged, shown.

Neutral to language: letters are told by their Unicode category, and full-width marks end sentences as ASCII ones do.
Model text is never trusted: it is data, whatever placeholders, labels or escape sequences it holds.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from sena.errors import SenaError

_PLACEHOLDER = re.compile(r"\{([A-Za-z_]+)\}")

_OPENERS = "\"'“‘„‚«‹「『《〈（(【[*_`"
_CLOSERS = "\"'”’“‘»›」』》〉）)】]*_`"
_ASKING = "?？؟"
_SPACED_ENDS = ".!?…؟।"  # these end a sentence only before a space: 3.5 is one number
_UNSPACED_ENDS = "。！？｡"  # these end one anywhere
_UNSPACED_SCRIPTS = ("CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")

_SENTENCE_END = re.compile(
    # “ opens a quotation in Chinese and closes one in German, so it counts as a closer only before a space
    rf"[{_UNSPACED_ENDS}][{re.escape(_UNSPACED_ENDS + _SPACED_ENDS)}]*[{re.escape(_CLOSERS.replace('“', ''))}]*"
    # possessive, and only from the start of a run: a model that loops on dots must not cost quadratic time
    rf"|(?<![{re.escape(_SPACED_ENDS)}])[{re.escape(_SPACED_ENDS)}]++[{re.escape(_CLOSERS)}]*+"
    r"(?=\s|$|[\u3040-\u30ff\u3400-\u9fff])"
    r"|\n"
)
_ABBREVIATION = re.compile(r"(?:^|[\s(])(?:mr|mrs|ms|dr|st|vs|e\.g|i\.e|(?-i:[A-Z]))\.$", re.IGNORECASE)

# Escape sequences of terminals: CSI, OSC (up to bell or string terminator), and the two-character ones.
_ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]")
_JOINERS = "\u200c\u200d"  # Persian words and many emoji need these two


def fill(template: str, /, **values: str) -> str:
    """`template` with every `{name}` replaced by its value, in one pass: values are text and never scanned again.

    Braces around anything but a bare word stay. Raises SenaError for a `{name}` without a value.
    (The released code replaces one placeholder after the other, so an answer can fill a later one.)
    """
    missing = placeholders(template) - set(values)
    if missing:
        raise SenaError(
            f"a prompt holds {{{min(missing)}}}, which nothing fills; known here: {', '.join(sorted(values))}"
        )
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def placeholders(template: str) -> set[str]:
    """The names that `fill` needs a value for."""
    return set(_PLACEHOLDER.findall(template))


def join(text: str, suffix: str) -> str:
    """`text` and `suffix` with a space between, unless the suffix is empty or brings its own white space."""
    return f"{text}{suffix}" if not suffix or suffix[0].isspace() else f"{text} {suffix}"


def sentences(text: str) -> list[str]:
    """The sentences of `text`, stripped, none empty. They end after . ! ? … and their full-width kin, closing quotes
    included, and at line breaks. `3.5` is whole, and so is `Dr. No`."""
    found, start = [], 0
    for end in _SENTENCE_END.finditer(text):
        if end[0] == "." and _ABBREVIATION.search(text[start : end.end()]):
            continue
        found.append(text[start : end.end()])
        start = end.end()
    found.append(text[start:])
    return [sentence.strip() for sentence in found if sentence.strip()]


def questions(text: str) -> list[str]:
    """The sentences of `text` that ask something, without quotes around them."""
    asked = (_unquoted(sentence) for sentence in sentences(text))
    return [q for q in asked if q.rstrip(_CLOSERS + " ")[-1:] in tuple(_ASKING) and any(c.isalnum() for c in q)]


def _unquoted(sentence: str) -> str:
    bare = sentence
    while len(bare) > 2 and bare[0] in _OPENERS and bare[-1] in _CLOSERS:
        bare = bare[1:-1].strip()
    return bare


def after_label(text: str, label: str) -> str | None:
    """What follows `label` in `text`, or None without it. `label` is written like "Improved answer:".

    Tolerant of case, of white space and line breaks within and around it, of Markdown stars and of a full-width
    colon: "**Improved  Answer**：\\nX" gives "X". The label may follow other words, but not stand inside one.
    """
    words = label.rstrip(" :：").split()
    colon = r"[\s*_]*[:：]" if label.rstrip().endswith((":", "：")) else r"(?![^\W_])[\s*_]*[:：]?"
    before = "" if unspaced(words[0][0]) else r"(?<![^\W_])"
    pattern = before + r"[\s*_]+".join(re.escape(word) for word in words) + colon
    match = re.search(pattern, text, re.IGNORECASE)
    if match is None:
        return None
    rest = text[match.end() :].strip()
    head = text[: match.start()]
    mark = head[len(head.rstrip("*_")) :]
    if mark and rest.startswith(mark):  # **Label:** X
        return rest[len(mark) :].strip()
    if mark and rest.endswith(mark):  # **Label: X**
        return rest[: -len(mark)].strip()
    return rest


def normalise(text: str) -> str:
    """`text` as it is compared: Unicode NFKC, case folded, one space between words, no quotes around, no end marks."""
    folded = " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())
    return folded.lstrip(" " + _OPENERS).rstrip(" .!?,;:…؟।。｡、" + _CLOSERS)


def unspaced(character: str) -> bool:
    """Whether the character belongs to a script that writes no spaces between words."""
    return unicodedata.name(character, "").startswith(_UNSPACED_SCRIPTS)


def holds(text: str, part: str) -> bool:
    """Whether `part` stands in `text` as whole words, both normalised: "a red car" holds "Red car.", not "ed car"."""
    where, wanted = normalise(text), normalise(part)
    start = where.find(wanted) if wanted else -1
    while start >= 0:
        end = start + len(wanted)
        if _is_edge(where, start) and _is_edge(where, end):
            return True
        start = where.find(wanted, start + 1)
    return False


def _is_edge(text: str, place: int) -> bool:
    """Whether a word can begin or end between the characters before and at `place`."""
    if place in (0, len(text)):
        return True
    before, after = text[place - 1], text[place]
    return not (_is_letter(before) and _is_letter(after)) or unspaced(before) or unspaced(after)


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


def letters_share(text: str) -> float:
    """Share of the non-space characters that are letters, marks or numbers of any script; 0 for an empty text."""
    solid = [character for character in text if not character.isspace()]
    return sum(map(_is_letter, solid)) / len(solid) if solid else 0.0


def repeats(text: str, most: int = 30) -> bool:
    """Whether a sentence occurs twice, or one token more than `most` times (as released).

    A token is a word between spaces; in scripts without spaces every character is one.
    """
    said = Counter(normalise(sentence) for sentence in sentences(text) if any(c.isalpha() for c in sentence))
    if any(count > 1 for count in said.values()):
        return True
    return any(count > most for count in Counter(_tokens(text)).values())


def words(text: str) -> list[str]:
    """The words of `text`, marks around them taken off; in scripts without spaces every character is one."""
    stripped = (token.strip("".join(c for c in token if not _is_letter(c))) for token in _tokens(text))
    return [word for word in stripped if word]


def _tokens(text: str) -> list[str]:
    return "".join(f" {character} " if unspaced(character) else character for character in text).split()


def printable(text: str) -> str:
    """`text` for terminals and pages: without escape sequences, control characters and bidirectional overrides.

    Line breaks and tabs stay, and the two joiners that Persian and emoji need.
    """
    text = _ESCAPES.sub("", text.replace("\r\n", "\n")).replace("\u2028", "\n").replace("\u2029", "\n")
    return "".join(c for c in text if c in "\n\t" + _JOINERS or unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
