"""docs/architecture.md names the rooms that there are, floor by floor, and modules that exist."""

from __future__ import annotations

import re
import tomllib

from tests.architecture.source import ROOT, SOURCE
from tests.docs.page import DOCS

TEXT = (DOCS / "architecture.md").read_text()


def told_floors() -> list[set[str]]:
    """From the top: the first column of the block of floors, a floor's names over one or several lines."""
    [block] = re.findall(r"^```\n(8  .*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    floors: list[set[str]] = []
    for line in block.splitlines():
        if line[0].isdigit():
            floors.append(set())
        column = line[3:] if line.startswith("0") else line[3:34]
        floors[-1] |= set(re.findall(r"\w+", column))
    return floors


def test_the_floors_are_those_that_are_checked() -> None:
    [contract] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    checked = [set(re.findall(r"sena\.(\w+)", layer)) for layer in contract["layers"]]
    assert told_floors() == checked


def test_modules_that_are_named_exist() -> None:
    """`rounds/evolve.py` by its place, `tree.py` in one of the rooms of its line's other modules or anywhere."""
    named = set(re.findall(r"`((?:\w+/)*\w+\.py)`", TEXT))
    assert len(named) > 40
    assert [name for name in sorted(named) if not list(SOURCE.rglob(name))] == []
