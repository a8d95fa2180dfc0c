"""Raw answers on disk, one picture a line, so that an evaluation that was stopped goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from sena import copies, files
from sena.engines.base import Engine
from sena.evals.base import CHUNK, Benchmark, run_benchmark


def answered(
    benchmark: Benchmark,
    engine: Callable[[], Engine],
    items: Sequence[Any],
    path: Path,
    on_done: Callable[[int], None] = lambda count: None,
) -> list[Any]:
    """One record an item, read from `path` where that is there, else asked for and written there.

    On the way they lie in a file beside it, chunk by chunk; chunks are always cut the same, so an evaluation that was
    killed and resumed gives the same bytes as one that was not. `engine` is called only when something is to be asked.
    """
    if path.is_file():
        return [benchmark.from_json(row) for row in read_rows(path)]
    part = path.with_suffix(".part")
    rows = read_rows(part)
    rows = rows[: len(rows) // CHUNK * CHUNK]
    files.write_text(part, "".join(map(_line, rows)))  # without what a kill left of a chunk
    records = [benchmark.from_json(row) for row in rows]
    asked = engine() if len(rows) < len(items) else None
    for start in range(len(rows), len(items), CHUNK):
        assert asked is not None
        made = run_benchmark(benchmark, asked, items[start : start + CHUNK], on_done=on_done)
        add_rows(part, [benchmark.to_json(record) for record in made])
        records += made
    files.rename(part, path)
    return records


def add_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Append JSON lines and see them to the disk. Raises SenaError when the disk is full."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as handle:
            handle.write(("" if _ends_whole(path) else "\n") + "".join(map(_line, rows)))
            handle.flush()
            os.fsync(handle.fileno())
    except OSError as error:
        raise files.disk_error(path, error) from error
    copies.put(path)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """JSON lines; nothing where there is no file. A line that a kill left unfinished is passed over."""
    rows: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").split("\n") if path.is_file() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def _ends_whole(path: Path) -> bool:
    """Whether a file is empty or its last line is a whole one."""
    if not path.stat().st_size:
        return True
    with open(path, "rb") as handle:
        handle.seek(-1, os.SEEK_END)
        return handle.read() == b"\n"


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row) + "\n"
