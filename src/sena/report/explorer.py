"""The rows that a page carries inside itself, with their pictures, as JSON that no text in it can break out of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

from sena.data.funnel import DropKey, PairKey, RowKey
from sena.data.run_stage import Dropped
from sena.ids import child
from sena.records import Image, Pair, Row
from sena.report.entries import Entry, Scores, of_drop, of_pair, to_json
from sena.report.gallery import Picture, Pictures, sample
from sena.report.read import RoundData
from sena.seeds import derive

ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
DROPS_A_REASON = 30


def entries(data: RoundData, most: int, pictures: Pictures, scores: Scores | None) -> list[Entry]:
    """A sample of the round's pairs, at most `most`, then of its drops, a few a reason. Only those are read whole.
    Without `scores` they are read of the round."""
    return [*_pairs(data, most, pictures, scores), *_drops(data, min(most, DROPS_A_REASON), pictures)]


def _pairs(data: RoundData, most: int, pictures: Pictures, scores: Scores | None) -> list[Entry]:
    order = [key.id for key in sample(data.keys("pairs", PairKey), most, data.number)]
    pairs: dict[str, Pair] = {pair.id: pair for pair in data.some("pairs", "id", order)}
    rows: dict[str, Row] = {row.id: row for row in data.some("answers", "id", [pair.row_id for pair in pairs.values()])}
    swapped = any(pair.corruption == "other_image" for pair in pairs.values())
    images = sorted(key.id for key in data.keys("images", RowKey)) if swapped else ()
    scores = data.scores_of(order) if scores is None else scores
    made = []
    for pair in (pairs[each] for each in order):
        entry = of_pair(pair, data.number, rows.get(pair.row_id), scores.get(pair.id))
        clean, spoiled = pictures.clean(pair.image_id), pictures.spoiled(pair, images)
        made.append(replace(entry, clean=clean.key, spoiled=spoiled.key))
    return made


def _drops(data: RoundData, most: int, pictures: Pictures) -> list[Entry]:
    by_reason: dict[tuple[str, str], list[DropKey]] = {}
    for key in data.keys("drops", DropKey):
        by_reason.setdefault((key.stage, key.reason), []).append(key)
    order = [key.id for keys in by_reason.values() for key in pick(keys, most)]
    drops: dict[str, Dropped] = {drop.id: drop for drop in data.some("drops", "id", order)}
    images = {drop.image_id for drop in drops.values()}
    said, owners = data.said_of(images), owners_of(data.some("answers", "image_id", images))
    return [
        replace(
            of_drop(drop, data.number, owners.get(drop.id), said.get(drop.id, ())),
            clean=pictures.clean(drop.image_id).key,
        )
        for drop in (drops[each] for each in order)
    ]


def owners_of(rows: Sequence[Row]) -> dict[str, Row]:
    """The row of a pair that was dropped, by the pair's id, which is made from its row's."""
    return {child(row.id, kind): row for row in rows for kind in ("description", "answer")}


def pick(drops: list[DropKey], most: int) -> list[DropKey]:
    """A seeded few, so that the same run gives the same page."""
    return sorted(drops, key=lambda drop: derive("drops", drop.id))[:most]


def page_data(found: Sequence[Entry], pictures: Pictures, command: str) -> dict[str, Any]:
    """What `explore.js` reads. `command` is the run folder as a shell takes it."""
    return {
        "entries": [to_json(entry) for entry in found],
        "pictures": shown(pictures.made.values()),
        "run": command,
        "remote": False,
    }


def shown(pictures: Iterable[Picture]) -> dict[str, Any]:
    """Pictures by their key, with what is known of each."""
    return {each.key: {name: value for name, value in asdict(each).items() if value} for each in pictures}


def script_json(value: Any) -> str:
    """JSON for a script element: no character in it can end the element, begin a comment or be read as markup."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, escape in ESCAPES.items():
        text = text.replace(character, escape)
    return text


def same_pictures(rounds: Sequence[RoundData], pictures: Pictures, most: int) -> list[dict[str, Any]]:
    """What each round's model said about the same few pictures: those that are watched, asked alike every time."""
    said = {each.number: watched_of(each) for each in rounds}
    known = [image.id for image in _watched_images(rounds) if any(image.id in found for found in said.values())]
    return [
        {
            "picture": pictures.clean(image_id),
            "said": [(number, found[image_id]) for number, found in said.items() if image_id in found],
        }
        for image_id in sorted(known, key=lambda image_id: derive("watched", image_id))[:most]
    ]


def _watched_images(rounds: Sequence[RoundData]) -> Sequence[Image]:
    return rounds[0].images if rounds and rounds[0].number == 0 else []


def watched_of(data: RoundData) -> dict[str, dict[str, Any]]:
    """The round's record of each watched picture (`evals/watch.py`); a torn line is left out."""
    path = data.folder.path / "eval" / "watched.jsonl"
    found = {}
    for line in path.read_text(errors="replace").splitlines() if path.is_file() else []:
        try:
            record = json.loads(line)
            found[record["image"]] = record
        except (json.JSONDecodeError, KeyError, TypeError):
            continue
    return found
