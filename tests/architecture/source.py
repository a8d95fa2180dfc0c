"""Where the package's source is, for the tests that read it."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "sena"
FILES = sorted(SOURCE.rglob("*.py"))
_CONTRACT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
FLOORS = [[room.strip() for room in floor.replace(":", "|").split("|")] for floor in _CONTRACT["layers"]]
GROUND_FLOOR = FLOORS[-1]


def module(file: Path) -> str:
    """`src/sena/a/b.py` -> `sena.a.b`."""
    parts = file.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
