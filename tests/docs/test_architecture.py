"""docs/architecture.md names the rooms that there are, floor by floor, and modules that exist."""

from __future__ import annotations

import re
import tomllib

from tests.architecture.source import ROOT, SOURCE
from tests.docs.page import DOCS

TEXT = (DOCS / "architecture.md").read_text()


def told_floors() -> list[set[str]]:
    """From the top: a row of the table a floor, each room before a colon, and the bottom's modules between commas."""
    rows = re.findall(r"^\| \d \| (.*) \|$", TEXT, re.MULTILINE)
    *rooms, ground = (re.split("; ", row) for row in rows)
    return [*({each.split("`")[1] for each in row} for row in rooms), set(re.findall(r"`(\w+)`", ground[0]))]


def test_the_floors_are_those_that_are_checked() -> None:
    [contract] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    checked = [set(re.findall(r"sena\.(\w+)", layer)) for layer in contract["layers"]]
    assert told_floors() == checked


def test_modules_that_are_named_exist() -> None:
    """`rounds/evolve.py` by its place, `tree.py` in one of the rooms of its line's other modules or anywhere."""
    named = set(re.findall(r"`((?:\w+/)*\w+\.py)`", TEXT))
    assert len(named) > 40
    assert [name for name in sorted(named) if not list(SOURCE.rglob(name))] == []
