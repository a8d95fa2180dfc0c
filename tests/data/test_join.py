"""Joining through files gives what sorting in memory gives, for any cut of the rows."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from sena.data import join
from sena.data.run_stage import Dropped
from sena.runs import tables


def drops(count: int) -> list[Dropped]:
    """Ids of any letters and lengths, some of them several times; `detail` tells those apart."""
    chance = random.Random(1)
    ids = ["".join(chance.choices("0123456789abcdefé", k=chance.randint(1, 4))) for _ in range(count)]
    return [Dropped(name, name, "row", "check", "not settled", str(place)) for place, name in enumerate(ids)]


@pytest.mark.parametrize("at_once", [1, 10, 60, 1000])
def test_rows_come_in_id_order_and_equal_ids_in_theirs(
    at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(join, "AT_ONCE", at_once)
    made = drops(300)
    parts = [made[start : start + 7] for start in range(0, len(made), 7)]
    joined = list(join.in_id_order((tables.arrow(Dropped, part) for part in parts), tmp_path / ".join"))
    assert [drop for part in joined for drop in tables.records(part, Dropped)] == sorted(made, key=lambda drop: drop.id)
    assert (len(joined) > 1) == (at_once < 300)
    assert list(tmp_path.iterdir()) == []


def test_what_a_kill_left_aside_is_not_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is there with rows of a join that never ended."""
    monkeypatch.setattr(join, "AT_ONCE", 2)
    made = drops(20)
    parts = [tables.arrow(Dropped, [drop]) for drop in made]
    ended = join.in_id_order(iter(parts), tmp_path / ".join")
    next(ended)
    left = {path.name: path.read_bytes() for path in (tmp_path / ".join").iterdir()}
    del ended
    (tmp_path / ".join").mkdir()
    for name, data in left.items():
        (tmp_path / ".join" / name).write_bytes(data)
    again = join.in_id_order(iter(parts), tmp_path / ".join")
    assert [drop for part in again for drop in tables.records(part, Dropped)] == sorted(made, key=lambda drop: drop.id)


def test_groups_are_cut_alike_however_rows_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "GROUP", 8)
    made = drops(33)
    tables.write(tmp_path / "whole.parquet", Dropped, made)
    for size in (1, 7, 8, 30):
        parts = [tables.arrow(Dropped, made[start : start + size]) for start in range(0, 33, size)]
        tables.write_arrow(tmp_path / "parts.parquet", Dropped, parts)
        assert (tmp_path / "parts.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
