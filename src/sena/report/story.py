"""One row's, pair's or image's whole story: what was asked, what the model said, what became of it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Group
from rich.rule import Rule
from rich.text import Text

from sena.data.run_stage import Dropped, Said
from sena.errors import SenaError
from sena.images.kinds import told
from sena.records import Pair, Row
from sena.report.read import RoundData, read_rounds, turn
from sena.runs.folder import RunFolder
from sena.text import printable

SHOWN_CANDIDATES = 5
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
    parts: list[Text | Rule] = [_line(f"{found.what} {found.id}, round {found.data.number}", "bold")]
    parts += _image(found)
    row_ids = [found.row_id] if found.row_id else _rows_of(found)
    for row_id in row_ids:
        parts += _row(found, row_id)
    lost = [drop for drop in found.data.drops if drop.id == found.image_id]
    return Group(*parts, *(line for drop in lost for line in _drop(drop)))


def _find(run: RunFolder, wanted: str) -> Found:
    """An exact id first, else the only one that begins so. Tables are read round by round until one has it."""
    begun: dict[str, Found] = {}
    known: set[str] = set()
    for data in read_rounds(run):
        for found in _ids(data):
            if found.id == wanted:
                return found
            known.add(found.id)
            if wanted and found.id.startswith(wanted):
                begun.setdefault(found.id, found)
    if len(begun) == 1:
        return next(iter(begun.values()))
    if begun:
        some = ", ".join(f"{found.id} ({found.what})" for found in list(begun.values())[:SHOWN_CANDIDATES])
        raise SenaError(f"{len(begun)} ids in {run.path} begin with {wanted}: give more of it, for example {some}")
    near = difflib.get_close_matches(wanted, sorted(known), n=3, cutoff=0.3)
    mend = f"nearest: {', '.join(near)}" if near else "the report and pairs.parquet name the ids"
    raise SenaError(f"There is no row, pair or image {printable(wanted)!r} in {run.path}; {mend}")


def _ids(data: RoundData) -> Iterable[Found]:
    """Every id of a round: images, rows, pairs, and what was dropped."""
    for image in data.images:
        yield Found(image.id, "image", data, image.id)
    for row in (*data.answers, *data.questions):
        yield Found(row.id, "row", data, row.image_id, row.id)
    for pair in data.pairs:
        yield Found(pair.id, "pair", data, pair.image_id, pair.row_id)
    owners = _owners(data)
    for drop in data.drops:
        if drop.kind == "row":
            yield Found(drop.id, "row", data, drop.image_id, drop.id)
        elif drop.kind != "image":
            yield Found(drop.id, "pair", data, drop.image_id, owners.get(drop.id, ""))


def _owners(data: RoundData) -> dict[str, str]:
    """Pair id to row id, for pairs that were dropped: a pair's id is made from its row's."""
    from sena.ids import child

    return {child(row.id, kind): row.id for row in data.answers for kind in ("description", "answer")}


def _rows_of(found: Found) -> list[str]:
    """The rows of an image, in the order of their ids, those that were dropped included."""
    data = found.data
    rows = [row.id for row in (*data.answers, *data.questions) if row.image_id == found.image_id]
    dropped = [drop.id for drop in data.drops if drop.image_id == found.image_id and drop.kind == "row"]
    return sorted({*rows, *dropped})


def _image(found: Found) -> list[Text | Rule]:
    image = next((image for image in found.data.images if image.id == found.image_id), None)
    if image is None:
        return [_field("image", found.image_id)]
    return [_field("image", f"{image.id}  {image.source}: {image.path}  ({image.width} x {image.height})")]


def _row(found: Found, row_id: str) -> list[Text | Rule]:
    """Question, texts, raw replies, pairs, drops of one row."""
    data = found.data
    row = next((row for row in (*data.answers, *data.questions) if row.id == row_id), None)
    parts: list[Text | Rule] = [Rule(Text(printable(f"row {row_id}")), align="left")]
    parts += _texts(row) if row else []
    said = [reply for reply in data.replies if reply.id == row_id or reply.id.startswith(f"{row_id}/")]
    parts += [line for reply in sorted(said, key=turn) for line in _said(reply)]
    pairs = [pair for pair in data.pairs if pair.row_id == row_id]
    owners = _owners(data)
    drops = [drop for drop in data.drops if drop.id == row_id or owners.get(drop.id) == row_id]
    scores = data.scores_of(pair.id for pair in pairs)
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
