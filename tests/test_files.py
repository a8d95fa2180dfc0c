"""A write that fails leaves the old file as it was, and says in one sentence what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sena import files, ids, seeds
from sena.errors import SenaError


def test_old_file_survives_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    files.write_json(path, {"b": 1, "a": [1, 2]})
    assert path.read_text() == '{\n  "a": [\n    1,\n    2\n  ],\n  "b": 1\n}\n'

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SenaError, match=r"No space left on the disk of .*a\.json: free some"):
        files.write_json(path, {"a": 2})
    assert files.read_json(path) == {"a": [1, 2], "b": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_broken_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text("{\n oops")
    with pytest.raises(SenaError, match=r"m\.json is not valid JSON \(line 2\)"):
        files.read_json(tmp_path / "m.json")


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SenaError, match="could not be written"):
        files.write_text(tmp_path / "file" / "a", "x")


def test_seeds_and_ids_come_from_their_parts() -> None:
    """sha256("x") begins 2d711642b726b044, known from any SHA-256 tool."""
    assert ids.of_bytes(b"x") == "2d711642b726b044"
    assert ids.child("a", "row", 1) != ids.child("a", "row", 2)
    assert seeds.derive(0, "ab", "c") != seeds.derive(0, "a", "bc")
    assert seeds.derive(0, 1) != seeds.derive(0, "1")
    assert all(0 <= seeds.derive(0, n) < 2**63 for n in range(100))
    counts = [sum(seeds.pick(4, n) == k for n in range(4000)) for k in range(4)]
    assert all(900 < count < 1100 for count in counts)


def test_a_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        (path / "half").write_text("x")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(SenaError, match=r"No space left on the disk of .*model"):
        files.make_folder(tmp_path / "model", fail)
    assert list(tmp_path.iterdir()) == []
    files.make_folder(tmp_path / "model", lambda path: files.write_text(path / "a", "1"))
    files.make_folder(tmp_path / "model", lambda path: files.write_text(path / "b", "2"))
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["b"]
