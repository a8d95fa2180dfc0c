"""Scores behind shared prefixes in every family: those of whole rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from sena.models import families
from sena.models.load import load
from tests.engines.test_scoring import demand_equal
from tests.families.tiny import TINY


@pytest.mark.parametrize("name", [family.name for family in families.FAMILIES if family.reads == "shared"])
def test_equal_to_whole_rows(name: str, tmp_path: Path) -> None:
    made = TINY[name]()
    made.model.save_pretrained(tmp_path)
    made.processor.save_pretrained(tmp_path)
    demand_equal(load(str(tmp_path), "float32", "cpu"))
