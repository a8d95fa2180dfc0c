"""Records read as a stream are those that `json` reads as a whole, wherever a piece of the file ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sena.errors import SenaError
from sena.images import json_list
from sena.images.json_list import records

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)


@SHARED
@given(st.lists(VALUES, max_size=5), st.integers(1, 9), st.sampled_from([None, 1]), st.booleans())
def test_same_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: list[Any], chunk: int, indent: int | None, ascii: bool
) -> None:
    monkeypatch.setattr(json_list, "CHUNK", chunk)
    file = tmp_path / "list.json"
    file.write_text(json.dumps(values, indent=indent, ensure_ascii=ascii), encoding="utf-8")
    assert list(records(file)) == values


@pytest.mark.parametrize("chunk", [1, 7, 1000])
@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[{"a": 1},\n {"a": ]', "line 2, column 8: Expecting value"),
        ('[{"a": 1}\n\n  {"a": 2}]', "line 3, column 3: Expecting ',' delimiter"),
        ("[1, 2", "line 1, column 6: Expecting ',' delimiter"),
        ("[1, 2,\n", "line 2, column 1: Expecting value"),
        ("[1]\n x", "line 2, column 2: Extra data"),
        ('[1, "abc', "line 1, column 5: Unterminated string"),
        (" \n ", "line 2, column 2: the file is empty"),
    ],
)
def test_a_fault_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, place: str, chunk: int
) -> None:
    monkeypatch.setattr(json_list, "CHUNK", chunk)
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(SenaError, match=r"is not valid JSON") as caught:
        list(records(tmp_path / "list.json"))
    assert place in str(caught.value)


def test_an_early_fault_ends_the_reading_early(tmp_path: Path) -> None:
    """The rest of a broken file is not read: a gigabyte of it would fill the memory."""
    file = tmp_path / "list.json"
    file.write_text('[{"a": oops}, ' + "1, " * 2_000_000 + "1]")
    asked = records(file)
    with pytest.raises(SenaError, match="line 1, column 8"):
        next(asked)


def test_only_a_piece_is_held(tmp_path: Path) -> None:
    """Peak of Python's own memory over 20 MB of records: a chunk and a record of it, not the file."""
    import tracemalloc

    file = tmp_path / "list.json"
    record = json.dumps({"image": "coco/1.jpg", "conversations": "x" * 2000})
    file.write_text("[" + ",\n".join([record] * 10_000) + "]")
    assert file.stat().st_size > 20_000_000
    tracemalloc.start()
    count = sum(1 for _ in records(file))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 10_000
    assert peak < 8_000_000


def test_a_mark_at_the_start_and_what_is_no_list(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_bytes("\ufeff[1]".encode())
    assert list(records(file)) == [1]
    file.write_text('{"a": 1}')
    with pytest.raises(SenaError, match="is no list of records"):
        list(records(file))
