"""A run of two rounds whose pairs have references, and its desk."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sena import files
from sena.runs.folder import RunFolder
from sena.view.rows import opener
from sena.view.server import Desk
from sena.view.store import Store
from tests.report.make import LOOK, image, make_run, pairs, picture, row

__all__ = ["LOOK", "WANTED", "desk_of", "image", "opener", "pairs", "picture", "referenced_run", "row"]
WANTED = pairs(row(image(1, 1)))[1]
SCORES = {pair.id: (-10.0 - n, -20.0) for n, pair in enumerate(pairs(row(image(1, 1))) + pairs(row(image(2, 1))))}
"""Margins of 10, 9, 8 and 7 nats."""


def referenced_run(path: Path, text: str = "") -> RunFolder:
    run = make_run(path, text=text)
    for number in (1, 2):
        scored = [pair for pair in pairs(row(image(number, 1))) if pair.id in SCORES]
        rows = [{"id": pair.id, "chosen": SCORES[pair.id][0], "rejected": SCORES[pair.id][1]} for pair in scored]
        run.round(number).reference.mkdir()
        pq.write_table(pa.Table.from_pylist(rows), run.round(number).reference / "part-00000.parquet")
        files.write_json(run.round(number).reference / "manifest.json", {"parts": 1, "pairs": len(rows)})
    return run


def desk_of(run: RunFolder) -> Desk:
    return Desk(run, Store(run), picture, LOOK, {})
