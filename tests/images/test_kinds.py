"""What is known of the kinds without torch, and which picture a request shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from sena.errors import SenaError
from sena.images.corrupt import WAYS
from sena.images.kinds import KINDS, CorruptionKind, fault, shown, told
from sena.records import Corruption

PAGE = Path(__file__).parents[2] / "docs" / "corruptions.md"


def test_one_list_of_kinds() -> None:
    assert set(get_args(CorruptionKind)) == set(KINDS) == set(WAYS)


def test_the_page_tells_every_kind_as_the_code_has_it() -> None:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    told = {row[0].strip("`"): (row[1], row[2], row[3]) for row in rows}
    usual = {name: f"{kind.usual:g}" if kind.unit else "none" for name, kind in KINDS.items()}
    assert told == {name: (kind.unit or "none", kind.range, usual[name]) for name, kind in KINDS.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_ends_and_usual_strength_are_in_range_and_what_is_beyond_is_not(kind: str) -> None:
    known = KINDS[kind]
    assert [fault(kind, strength) for strength in (known.low, known.usual, known.high)] == [None] * 3
    for strength in (known.low - 1, known.high + 1e-6, float("nan"), float("inf")):
        assert kind in (fault(kind, strength) or "")


@pytest.mark.parametrize("kind", KINDS)
def test_a_ladder_rises_within_the_range_and_holds_the_usual_strength(kind: str) -> None:
    known = KINDS[kind]
    assert [fault(kind, strength) for strength in known.ladder] == [None] * len(known.ladder)
    assert list(known.ladder) == sorted(set(known.ladder))
    assert known.usual in known.ladder


def test_a_request_shows_its_own_picture_none_or_another() -> None:
    """Of a, b, c, d the others of b are a, c, d: seeds 0, 1, 2 take them in turn, and 3 begins anew."""
    images = ["a", "b", "c", "d"]
    assert shown("b", Corruption("blur", 4, 1), images) == "b"
    assert shown("b", Corruption("no_image", 0, 1), images) is None
    assert [shown("b", Corruption("other_image", 0, seed), images) for seed in range(4)] == ["a", "c", "d", "a"]
    assert [shown("d", Corruption("other_image", 0, seed), images) for seed in range(3)] == ["a", "b", "c"]
    assert shown("bb", Corruption("other_image", 0, 3), images) == "d"
    for few in ([], ["b"]):
        with pytest.raises(SenaError, match="a second picture"):
            shown("b", Corruption("other_image", 0, 0), few)


def test_reports_name_a_strength_where_there_is_one() -> None:
    kinds = ("blur", "no_image", "a kind of a later version")
    assert [told(kind, 4.5) for kind in kinds] == ["blur 4.5", "no_image", "a kind of a later version 4.5"]


def test_the_kinds_load_no_torch() -> None:
    code = "import sys, sena.images.kinds, sena.stages.config; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
