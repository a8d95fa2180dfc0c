"""One row's, pair's or image's whole story: what was asked, what the model said, what became of it."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group
from rich.rule import Rule
from rich.text import Text

from sena.data.funnel import RowKey
from sena.data.run_stage import Dropped, Said
from sena.errors import SenaError
from sena.images.kinds import told
from sena.records import Pair, Row
from sena.report.read import KINDS, RoundData, read_rounds, turn
from sena.runs.folder import RunFolder
from sena.text import printable

Known = dict[str, list[Any]]
"""What a round's tables hold about one image."""
SHOWN_CANDIDATES = 5
MOST_COMPARED = 100_000
"""Ids among which the nearest to a wrong one are looked for."""
FIELDS = (
    ("question", "question"),
    ("describe_prompt", "describe prompt"),
    ("description", "description"),
    ("enhanced_description", "enhanced description"),
    ("rejected_description", "rejected description"),
    ("answer_prompt", "answer prompt"),
    ("answer", "answer"),
    ("enhanced_answer", "enhanced answer"),
    ("rejected_answer", "rejected answer"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """Where an id leads: a round, an image, and the row, if it names one. `what` is image, row or pair."""

    id: str
    what: str
    data: RoundData
    image_id: str
    row_id: str = ""


def story(run: RunFolder, wanted: str) -> Group:
    """Everything about the row, pair or image whose id begins with `wanted`; print it with rich.

    Raises SenaError with the nearest ids for an id that is not there, or that several begin with.
    """
    found = _find(run, wanted.strip())
    known = {name: found.data.some(name, "image_id", [found.image_id]) for name in KINDS}
    parts: list[Text | Rule] = [_line(f"{found.what} {found.id}, round {found.data.number}", "bold")]
    parts += _image(found)
    row_ids = [found.row_id] if found.row_id else _rows_of(known)
    for row_id in row_ids:
        parts += _row(found, row_id, known)
    lost = [drop for drop in known["drops"] if drop.id == found.image_id]
    return Group(*parts, *(line for drop in lost for line in _drop(drop)))


def _find(run: RunFolder, wanted: str) -> Found:
    """An exact id first, else the only one that begins so."""
    rounds, begun = read_rounds(run), dict[str, Found]()
    for data in rounds if wanted else []:
        for found in _beginning(data, wanted):
            if found.id == wanted:
                return found
            begun.setdefault(found.id, found)
    if len(begun) == 1:
        return next(iter(begun.values()))
    if begun:
        some = ", ".join(f"{found.id} ({found.what})" for found in list(begun.values())[:SHOWN_CANDIDATES])
        raise SenaError(f"{len(begun)} ids in {run.path} begin with {wanted}: give more of it, for example {some}")
    known = list(itertools.islice((each for data in rounds for each in _ids(data)), MOST_COMPARED))
    near = difflib.get_close_matches(wanted, sorted(set(known)), n=3, cutoff=0.3)
    mend = f"nearest: {', '.join(near)}" if near else "the report and pairs.parquet name the ids"
    raise SenaError(f"There is no row, pair or image {printable(wanted)!r} in {run.path}; {mend}")


def _beginning(data: RoundData, wanted: str) -> Iterable[Found]:
    """What in a round has an id that begins so: images, rows, pairs, and what was dropped. Only those are read."""
    for image in data.beginning("images", wanted):
        yield Found(image.id, "image", data, image.id)
    for row in (*data.beginning("answers", wanted), *data.beginning("questions", wanted)):
        yield Found(row.id, "row", data, row.image_id, row.id)
    for pair in data.beginning("pairs", wanted):
        yield Found(pair.id, "pair", data, pair.image_id, pair.row_id)
    for drop in data.beginning("drops", wanted):
        if drop.kind == "row":
            yield Found(drop.id, "row", data, drop.image_id, drop.id)
        elif drop.kind != "image":
            owners = _owners(data.some("answers", "image_id", [drop.image_id]))
            yield Found(drop.id, "pair", data, drop.image_id, owners.get(drop.id, ""))


def _ids(data: RoundData) -> Iterable[str]:
    """Every id of a round."""
    for name in ("images", "answers", "questions", "pairs", "drops"):
        yield from (key.id for key in data.keys(name, RowKey))


def _owners(answers: Iterable[Row]) -> dict[str, str]:
    """Pair id to row id, for pairs that were dropped: a pair's id is made from its row's."""
    from sena.ids import child

    return {child(row.id, kind): row.id for row in answers for kind in ("description", "answer")}


def _rows_of(known: Known) -> list[str]:
    """The rows of an image, in the order of their ids, those that were dropped included."""
    rows = [row.id for row in (*known["answers"], *known["questions"])]
    return sorted({*rows, *(drop.id for drop in known["drops"] if drop.kind == "row")})


def _image(found: Found) -> list[Text | Rule]:
    image = next(iter(found.data.some("images", "id", [found.image_id])), None)
    if image is None:
        return [_field("image", found.image_id)]
    return [_field("image", f"{image.id}  {image.source}: {image.path}  ({image.width} x {image.height})")]


def _row(found: Found, row_id: str, known: Known) -> list[Text | Rule]:
    """Question, texts, raw replies, pairs, drops of one row."""
    row = next((row for row in (*known["answers"], *known["questions"]) if row.id == row_id), None)
    parts: list[Text | Rule] = [Rule(Text(printable(f"row {row_id}")), align="left")]
    parts += _texts(row) if row else []
    said = [reply for reply in known["replies"] if reply.id == row_id or reply.id.startswith(f"{row_id}/")]
    parts += [line for reply in sorted(said, key=turn) for line in _said(reply)]
    pairs = [pair for pair in known["pairs"] if pair.row_id == row_id]
    owners = _owners(known["answers"])
    drops = [drop for drop in known["drops"] if drop.id == row_id or owners.get(drop.id) == row_id]
    scores = found.data.scores_of(pair.id for pair in pairs)
    parts += [line for pair in pairs for line in _pair(pair, scores.get(pair.id))]
    return [*parts, *(line for drop in drops for line in _drop(drop))]


def _texts(row: Row) -> list[Text | Rule]:
    tried = [_field(f"tried {place}", question) for place, question in enumerate(row.asked, 1)]
    filled: Sequence[tuple[str, str]] = [(label, getattr(row, name)) for name, label in FIELDS]
    cut = [_field("cut at the token limit", ", ".join(row.cut))] if row.cut else []
    return [*tried, *(_field(label, text) for label, text in filled if text), *cut]


def _said(reply: Said) -> list[Text | Rule]:
    spoiled = f", picture spoiled: {told(reply.corruption, reply.strength)}" if reply.corruption else ""
    ended = "" if reply.finished else ", cut at the token limit"
    return [
        _line(f"\n{reply.stage}, asked {reply.id}{spoiled} ({reply.tokens} tokens{ended})", "cyan"),
        _field("prompt", reply.prompt),
        _field("raw reply", reply.text),
    ]


def _pair(pair: Pair, scores: tuple[float, float] | None) -> list[Text | Rule]:
    known = [_field("under the reference", "chosen {:.2f}, rejected {:.2f} nats".format(*scores))] if scores else []
    picture = told(pair.corruption, pair.strength) if pair.corruption else "clean"
    return [
        _line(f"\npair {pair.id} ({pair.kind}), kept", "bold green"),
        _field("prompt", pair.prompt),
        _field("chosen", pair.chosen),
        _field("rejected", pair.rejected),
        _field("rejected picture", f"{picture}, seed {pair.corruption_seed}" if pair.corruption else picture),
        *known,
    ]


def _drop(drop: Dropped) -> list[Text | Rule]:
    why = f"{drop.reason}: {drop.detail}" if drop.detail else drop.reason
    texts = [(label, getattr(drop, label)) for label in ("prompt", "chosen", "rejected")]
    head = _line(f"\n{drop.kind} {drop.id} dropped by {drop.stage}: {why}", "bold red")
    return [head, *(_field(label, text) for label, text in texts if text)]


def _field(label: str, text: str) -> Text:
    """A label and model text, which is never read as markup."""
    made = Text()
    made.append(f"  {label}: ", style="dim")
    made.append(printable(text))
    return made


def _line(text: str, style: str) -> Text:
    return Text(printable(text), style=style)
