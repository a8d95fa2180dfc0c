"""Rows that a person marked: a line of JSON each, in the run folder, kept after every click."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sena import files
from sena.runs.folder import RunFolder


def path_of(run: RunFolder) -> Path:
    return run.path / "flags.jsonl"


def read(run: RunFolder) -> dict[str, dict[str, Any]]:
    """The flagged rows by id. Lines that are none are left out."""
    found = {}
    path = path_of(run)
    for line in path.read_text(errors="replace").splitlines() if path.is_file() else []:
        try:
            record = json.loads(line)
            found[str(record["id"])] = record
        except (json.JSONDecodeError, KeyError, TypeError):
            continue
    return found


def write(run: RunFolder, flags: dict[str, dict[str, Any]]) -> None:
    """Atomically, in the order of their ids."""
    lines = [json.dumps(flags[each], ensure_ascii=False, sort_keys=True) for each in sorted(flags)]
    files.write_text(path_of(run), "".join(f"{line}\n" for line in lines))
