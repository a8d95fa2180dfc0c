"""A table on the disk behaves as the list of its records, and holds one group of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from sena.errors import RunFolderError
from sena.records import Image, Pair
from sena.runs import tables
from sena.runs.stored import Stored

IMAGES = [Image(f"{number:02x}", "folder", f"{number}.png", "00", 8, 8) for number in range(0, 40, 2)]


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stored[Image]:
    """Twenty images in groups of seven, seven and six."""
    monkeypatch.setattr(tables, "GROUP", 7)
    tables.write(tmp_path / "images.parquet", Image, IMAGES)
    return Stored(tmp_path / "images.parquet", Image)


def test_it_is_the_list(stored: Stored[Image]) -> None:
    assert len(stored) == 20
    assert list(stored) == IMAGES
    assert [stored[place] for place in (0, 6, 7, 19, -1)] == [IMAGES[place] for place in (0, 6, 7, 19, -1)]
    for start in range(22):
        for end in range(start, 22):
            assert stored[start:end] == IMAGES[start:end]
    assert stored[::-3] == IMAGES[::-3]
    with pytest.raises(IndexError):
        stored[20]


def test_by_id(stored: Stored[Image]) -> None:
    """Each is found, and nothing before, between or behind them."""
    known = stored.by_id()
    assert [known[image.id] for image in reversed(IMAGES)] == IMAGES[::-1]
    assert (len(known), list(known)) == (20, [image.id for image in IMAGES])
    assert stored.values("source") == {"folder"}
    assert stored.values("path") == {image.path for image in IMAGES}
    for missing in ("", "01", "0d", "0e0", "27", "ff"):
        assert missing not in known


def test_one_group_is_read_at_a_time(stored: Stored[Image]) -> None:
    """Groups read are counted by a file in front of the real one."""

    class Counted:
        groups: list[int] = []  # noqa: RUF012

        def read_row_group(self, group: int, columns: list[str]) -> Any:
            self.groups.append(group)
            return file.read_row_group(group, columns)

        def __getattr__(self, name: str) -> Any:
            return getattr(file, name)

    file, stored._file = stored._file, cast("Any", Counted())
    assert [stored[start : start + 3] for start in range(0, 20, 3)] == [IMAGES[at : at + 3] for at in range(0, 20, 3)]
    assert Counted.groups == [0, 1, 2]


def test_an_empty_one(tmp_path: Path) -> None:
    tables.write(tmp_path / "images.parquet", Image, [])
    stored = Stored(tmp_path / "images.parquet", Image)
    assert (list(stored), stored[0:5], stored.find("00")) == ([], [], None)


def test_another_table_is_refused(tmp_path: Path) -> None:
    tables.write(tmp_path / "images.parquet", Image, IMAGES)
    with pytest.raises(RunFolderError, match=r"images\.parquet is not a table of this version"):
        Stored(tmp_path / "images.parquet", Pair)
