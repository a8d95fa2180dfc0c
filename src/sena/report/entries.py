"""What the explorer shows: pairs and drops as plain values, ready for JSON. The page and the viewer share them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sena.data.run_stage import Dropped, Said
from sena.images.kinds import told
from sena.records import Pair, Row
from sena.report.differ import Pieces, clip, compare
from sena.text import printable

Scores = Mapping[str, tuple[float, float]]
"""Pair id: summed log-probabilities of chosen and rejected under the reference."""
LAST_REPLIES = 4
SHORT = 400


@dataclass(frozen=True, slots=True)
class Text:
    """A labelled text: plain, or in pieces (differs, text). `mark` is "", `chosen` or `rejected`."""

    label: str
    pieces: Pieces
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One pair or drop. `facets` are words to choose by, `numbers` to sort by and to draw. Pictures are named by a key
    of the page's pictures, or by an address; an empty one says that there is none to show."""

    id: str
    what: str
    round: int
    image: str
    row: str
    facets: dict[str, str]
    numbers: dict[str, float]
    texts: list[Text]
    clean: str = ""
    spoiled: str = ""
    spoiled_by: str = ""
    notes: list[str] = field(default_factory=list)


def of_pair(pair: Pair, number: int, row: Row | None, scores: tuple[float, float] | None) -> Entry:
    """A pair, with what is known of its row: every question tried, the description, the answer before enhancing."""
    return Entry(
        id=_name(pair.id),
        what="pair",
        round=number,
        image=_name(pair.image_id),
        row=_name(pair.row_id),
        facets={"kept": "pair", "round": str(number), **_short(pair_facets(pair, row))},
        numbers=pair_numbers(pair, scores),
        texts=[*_question(pair, row), *_both(pair)],
        spoiled_by=told(pair.corruption, pair.strength) if pair.corruption else "",
        notes=_notes(pair, scores),
    )


def pair_facets(pair: Pair, row: Row | None) -> dict[str, str]:
    """What a pair can be chosen by. `sena.view.store` says the same in SQL."""
    found = {"kind": pair.kind, "spoiled by": pair.corruption or "not spoiled"}
    if pair.plain:
        found["enhanced"] = "changed" if pair.plain != pair.chosen else "unchanged"
    if pair.kind == "answer" and row is not None and row.asked:
        found["question"] = "changed by the check" if row.question != row.asked[0] else "kept as asked"
    return found


def pair_numbers(pair: Pair, scores: tuple[float, float] | None) -> dict[str, float]:
    """Log-probabilities in nats, lengths in characters."""
    found: dict[str, float] = {"length of chosen": len(pair.chosen), "length of rejected": len(pair.rejected)}
    if scores:
        found |= {"margin": scores[0] - scores[1], "chosen log-probability": scores[0]}
    if pair.support is not None:
        found["support"] = pair.support
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _question(pair: Pair, row: Row | None) -> list[Text]:
    """The question as it was tried and as it was settled, with what the check changed marked; else the prompt."""
    if row is None or pair.kind != "answer":
        return [_text("prompt", pair.prompt)]
    texts = [_text("question", row.question)] if row.question else []
    if row.asked[:1] and row.question != row.asked[0]:
        before, after = compare(clip(row.asked[0]), clip(row.question))
        texts = [Text("asked first", before, "rejected"), *(_text("then", each) for each in row.asked[1:-1])]
        texts.append(Text("settled question", after, "chosen"))
    return [*texts, _text("description", row.description), _text("prompt", pair.prompt)]


def _both(pair: Pair) -> list[Text]:
    chosen, rejected = compare(clip(pair.chosen), clip(pair.rejected))
    was_enhanced = pair.plain not in ("", pair.chosen)
    plain = [_text("before enhancing", pair.plain)] if was_enhanced else []
    label = "chosen, enhanced" if was_enhanced else "chosen"
    return [*plain, Text(label, chosen, "chosen"), Text("rejected", rejected, "rejected")]


def _notes(pair: Pair, scores: tuple[float, float] | None) -> list[str]:
    notes = []
    if scores:
        notes.append(
            f"log-probability under the reference, in nats: chosen {scores[0]:.1f}, rejected {scores[1]:.1f}, "
            f"margin {scores[0] - scores[1]:+.1f}"
        )
    if pair.support is not None:
        notes.append(f"the clean picture makes the chosen answer likelier by {pair.support:+.2f} nats a token")
    return notes


def of_drop(drop: Dropped, number: int, row: Row | None = None, said: Sequence[Said] = ()) -> Entry:
    """What ended, why, what it held, and the last replies before it ended. `row` is known of dropped pairs alone."""
    why = {"dropped by": drop.stage, "reason": drop.reason}
    held = [_text("question", row.question)] if row and row.question and drop.kind == "answer" else []
    if drop.prompt:
        held.append(_text("asked", drop.prompt))
    if drop.chosen or drop.rejected:
        chosen, rejected = compare(clip(drop.chosen), clip(drop.rejected))
        held += [Text("would be chosen", chosen, "chosen"), Text("would be rejected", rejected, "rejected")]
    return Entry(
        id=_name(drop.id),
        what="drop",
        round=number,
        image=_name(drop.image_id),
        row=row.id if row else _name(drop.id) if drop.kind == "row" else "",
        facets={"kept": "dropped", "round": str(number), **_short({"kind": drop.kind, **why})},
        numbers={},
        texts=[*held, *(_reply(each) for each in said[-LAST_REPLIES:])],
        notes=[clip(drop.detail, SHORT)] if drop.detail else [],
    )


def _reply(said: Said) -> Text:
    return _text(f"said in {said.stage}", f"{clip(said.prompt, SHORT)}\n→ {clip(said.text, SHORT)}")


def _text(label: str, text: str) -> Text:
    return Text(clip(label, 80), [(False, clip(text))])


def _name(text: str) -> str:
    """An id from a table, which may be anybody's."""
    return clip(text, 80)


def _short(facets: dict[str, str]) -> dict[str, str]:
    return {name: short(value) for name, value in facets.items()}


def short(text: str) -> str:
    """A word to choose by, as it is shown and compared."""
    return printable(text)[:80]


def to_json(entry: Entry) -> dict[str, Any]:
    """Texts become `[label, mark, [[differs, text], ...]]`."""
    made = {name: getattr(entry, name) for name in Entry.__slots__ if name != "texts"}
    return {**made, "texts": [[text.label, text.mark, text.pieces] for text in entry.texts]}
