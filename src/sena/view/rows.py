"""From ids to what the page's script shows: texts, words that differ, pictures as they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from PIL import Image as PIL

from sena.data.run_stage import Dropped, Said
from sena.errors import ImageError, SenaError
from sena.images.pictures import Pictures as Originals
from sena.recipes import names
from sena.recipes.recipe import Recipe
from sena.records import Image, Pair, Row
from sena.report.entries import Entry, of_drop, of_pair, to_json
from sena.report.explorer import owners_of, shown
from sena.report.gallery import OpenImage, Pictures
from sena.report.read import turn
from sena.view.store import Answer, Query, Store


def answer(store: Store, query: Query, pictures: Pictures, flags: Mapping[str, Any]) -> dict[str, Any]:
    """What `explore.js` asks of a server: one page of rows, and what else could be chosen."""
    found = store.find(query)
    made = _entries(store, found, pictures)
    entries = [{**to_json(made[row_id]), "flagged": row_id in flags} for row_id, _ in found.ids if row_id in made]
    counts = {"total": found.total, "all": found.all, "facets": found.facets, "histograms": found.histograms}
    return {**counts, "entries": entries, "pictures": shown(pictures.made.values())}


def _entries(store: Store, found: Answer, pictures: Pictures) -> dict[str, Entry]:
    pairs = [row_id for row_id, kept in found.ids if kept == "pair"]
    drops = [row_id for row_id, kept in found.ids if kept != "pair"]
    made = [*_pairs(store, pairs, pictures), *_drops(store, drops, pictures)]
    return {entry.id: entry for entry in made}


def _pairs(store: Store, ids: Sequence[str], pictures: Pictures) -> list[Entry]:
    found, scores = store.records(Pair, "pairs", "id", ids), store.scores(ids)
    rows = {row.id: row for _, row in store.records(Row, "answers", "id", [pair.row_id for _, pair in found])}
    made = []
    for number, pair in found:
        entry = of_pair(pair, number, rows.get(pair.row_id), scores.get(pair.id))
        others = store.images_of(number) if pair.corruption == "other_image" else ()
        clean, spoiled = pictures.clean(pair.image_id), pictures.spoiled(pair, others)
        made.append(replace(entry, clean=clean.key, spoiled=spoiled.key))
    return made


def _drops(store: Store, ids: Sequence[str], pictures: Pictures) -> list[Entry]:
    found = store.records(Dropped, "drops", "id", ids)
    images = {drop.image_id for _, drop in found}
    owners = owners_of([row for _, row in store.records(Row, "answers", "image_id", images)])
    said: dict[str, list[Said]] = {}
    for _, reply in store.records(Said, "replies", "image_id", images):
        said.setdefault(reply.id.partition("/")[0], []).append(reply)
    return [
        replace(
            of_drop(drop, number, owners.get(drop.id), sorted(said.get(drop.id, ()), key=turn)),
            clean=pictures.clean(drop.image_id).key,
        )
        for number, drop in found
    ]


def exported(store: Store, flags: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A flagged row each: its own columns, its round, and where its picture was drawn from, in the order of the ids."""
    known: dict[str, tuple[int, Pair | Dropped]] = {}
    known |= {pair.id: (number, pair) for number, pair in store.records(Pair, "pairs", "id", flags)}
    known |= {drop.id: (number, drop) for number, drop in store.records(Dropped, "drops", "id", flags)}
    wanted = {row.image_id for _, row in known.values()}
    pictures = {image.id: image for _, image in store.records(Image, "images", "id", wanted)}
    return [_exported(flags[each], known.get(each), pictures) for each in sorted(flags)]


def _exported(
    flag: Mapping[str, Any], found: tuple[int, Pair | Dropped] | None, pictures: Mapping[str, Image]
) -> dict[str, Any]:
    if found is None:
        return dict(flag)
    number, row = found
    picture = pictures.get(row.image_id)
    drawn = {"source": picture.source, "path": picture.path} if picture else {}
    return {**flag, "round": number, **asdict(row), **drawn}


def opener(store: Store, recipe: Recipe) -> OpenImage:
    """Opens a picture by its id from where it was drawn, if it is still the same."""
    try:
        sources, gone = {source.name: source for source in names.sources(recipe.images)}, ""
    except SenaError as error:
        sources, gone = {}, str(error)

    def open_image(image_id: str) -> PIL.Image:
        if gone:
            raise ImageError("source is gone", gone)
        found = store.records(Image, "images", "id", [image_id])
        if not found:
            raise ImageError("unknown", f"the run drew no picture {image_id}")
        return Originals([found[0][1]], sources, recipe.images.limits).open(image_id)

    return open_image
