"""Which pairs teach something. Every filter is a small function from a case to a fixed reason, or None.

Those of the released code that do harm are here too, under their own names, for `sena-as-released`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sena.records import Pair, Row
from sena.stages.config import FilterName, FiltersConfig, StagesConfig
from sena.stages.pair import is_cut
from sena.text import holds, letters_share, normalise, repeats


@dataclass(frozen=True, slots=True)
class Case:
    """A pair to be judged: whether one of its texts was cut, and the pairs of its picture that were kept before it."""

    pair: Pair
    config: FiltersConfig
    cut: bool = False
    earlier: tuple[Pair, ...] = ()

    @property
    def answers(self) -> tuple[str, str]:
        return self.pair.chosen, self.pair.rejected


Filter = Callable[[Case], str | None]


def truncated(case: Case) -> str | None:
    """A text without its end would teach never to end. (The released code keeps it.)"""
    return "truncated" if case.cut else None


def empty(case: Case) -> str | None:
    return "empty" if not all(answer.strip() for answer in case.answers) else None


def identical(case: Case) -> str | None:
    """The same answer up to case, spaces, quotes and end marks: the difference would be one of form only."""
    return "identical" if normalise(case.pair.chosen) == normalise(case.pair.rejected) else None


def repetitive(case: Case) -> str | None:
    """A sentence said twice, or one token over and over (as released, for any script)."""
    return "repetitive" if any(repeats(answer, case.config.most_repeats) for answer in case.answers) else None


def no_letters(case: Case) -> str | None:
    """Mostly marks and symbols. The released code counts A to Z and digits only, and so drops all other scripts."""
    few = any(letters_share(answer) < case.config.letters_share for answer in case.answers)
    return "no letters" if few else None


def yes_no(case: Case) -> str | None:
    """An answer that is nothing but yes or no. On noise a model says yes, so such pairs unlearn the word itself."""
    words = {normalise(word) for word in case.config.yes_no_words}
    return "yes or no" if any(normalise(answer) in words for answer in case.answers) else None


def contained(case: Case) -> str | None:
    """The rejected answer stands whole in the chosen one: it says less, and nothing wrong.

    Not the other way round: what a rejected answer adds to the chosen one may well be what is not there.
    """
    return "contained" if holds(case.pair.chosen, case.pair.rejected) else None


def duplicate(case: Case) -> str | None:
    """Prompt and answers as in an earlier pair of the picture."""
    return "duplicate" if any(_essence(case.pair) == _essence(other) for other in case.earlier) else None


def _essence(pair: Pair) -> tuple[str, str, str]:
    return normalise(pair.prompt), normalise(pair.chosen), normalise(pair.rejected)


def unsupported(case: Case) -> str | None:
    """The model would say so without the picture: nothing in it speaks for the chosen answer."""
    support = case.pair.support
    return "unsupported" if support is not None and support <= case.config.least_support else None


def unlike_lengths(case: Case) -> str | None:
    """One answer is so much longer that the pair may teach length."""
    short, long = sorted(len(normalise(answer)) for answer in case.answers)
    return "unlike lengths" if long > case.config.most_length_ratio * short else None


def banned_text(case: Case) -> str | None:
    """As released with `name`: a plain substring test on the prompt, which tournament and ornament do not pass."""
    return "banned text" if any(text in case.pair.prompt for text in case.config.banned) else None


def identical_exact(case: Case) -> str | None:
    """As released: letter for letter."""
    return "identical" if case.pair.chosen == case.pair.rejected else None


def latin_half(case: Case) -> str | None:
    """As released: more than half of all characters, spaces and marks included, are not A to Z or digits; or empty."""
    poor = any(2 * len(re.sub("[A-Za-z0-9]", "", answer)) > len(answer) or not answer for answer in case.answers)
    return "few latin letters" if poor else None


def yes_no_exact(case: Case) -> str | None:
    """As released: exactly `Yes` or `No`; "Yes." passes."""
    return "yes or no" if any(_glued(answer) in ("Yes", "No") for answer in case.answers) else None


def contained_one_sided(case: Case) -> str | None:
    """As released: the rejected answer in lower case is a substring of the chosen one as it is."""
    return "contained" if _glued(case.pair.rejected).lower() in _glued(case.pair.chosen) else None


FILTERS: dict[FilterName, Filter] = {
    "truncated": truncated,
    "empty": empty,
    "identical": identical,
    "repetitive": repetitive,
    "no_letters": no_letters,
    "yes_no": yes_no,
    "contained": contained,
    "duplicate": duplicate,
    "unsupported": unsupported,
    "unlike_lengths": unlike_lengths,
    "banned_text": banned_text,
    "identical_exact": identical_exact,
    "latin_half": latin_half,
    "yes_no_exact": yes_no_exact,
    "contained_one_sided": contained_one_sided,
}


def sift(
    pairs: Sequence[Pair], row: Row, earlier: Sequence[Pair], config: StagesConfig
) -> list[tuple[Pair, str | None]]:
    """The row's pairs, each with the reason that speaks against it, or None and as it is learned from.

    `earlier` are the pairs kept so far; only those of the same picture are looked at.
    """
    kept = [pair for pair in earlier if pair.image_id == row.image_id]
    judged: list[tuple[Pair, str | None]] = []
    for pair in pairs:
        reason = reason_against(Case(pair, config.filters, is_cut(row, pair.kind), tuple(kept)))
        pair = pair if reason else _finished(pair, config.filters)
        judged.append((pair, reason))
        kept += [] if reason else [pair]
    return judged


def reason_against(case: Case) -> str | None:
    """The reason of the first of the recipe's filters that objects."""
    reasons = (FILTERS[name](case) for name in case.config.names)
    return next((reason for reason in reasons if reason), None)


def _finished(pair: Pair, config: FiltersConfig) -> Pair:
    """A kept pair as it is learned from. The released code glues lines together, words included."""
    if config.newlines == "keep":
        return pair
    return replace(pair, chosen=_glued(pair.chosen), rejected=_glued(pair.rejected), plain=_glued(pair.plain))


def _glued(text: str) -> str:
    return text.replace("</s>", "").replace("\n", "")
