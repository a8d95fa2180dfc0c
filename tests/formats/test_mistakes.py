"""Files that are wrong, and files that mean harm: one sentence each, naming file, row and mend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sena.errors import ImageError, SenaError
from sena.formats import EXPORTS
from sena.formats.read import read_pairs
from sena.formats.write import write_pairs
from sena.images.parquet import ParquetSource
from tests.formats.make import FILES, FIRST, PAIRS, read_image, told

RECORDS: dict[str, dict[str, Any]] = {
    "llava": {
        "id": "1",
        "image": "a.png",
        "conversations": [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "red"}],
        "rejected_conversations": [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "blue"}],
    },
    "llama-factory": {
        "conversations": [{"from": "human", "value": "<image>What?"}],
        "chosen": {"from": "gpt", "value": "red"},
        "rejected": {"from": "gpt", "value": "blue"},
        "images": ["a.png"],
    },
    "ms-swift": {
        "messages": [{"role": "user", "content": "What?\n<image>"}, {"role": "assistant", "content": "red"}],
        "images": ["a.png"],
        "rejected_response": "blue",
    },
    "released": {"question": "What?", "chosen": "red", "reject": "blue", "image": "a.png", "type": "gen"},
}
NEEDED = [
    (name, column)
    for name, record in RECORDS.items()
    for column in record
    if column not in ("id", "type", "messages", "conversations")
]


def put(folder: Path, record: Any, name: str = "pairs.json") -> Path:
    """A good first record, then `record`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.png").write_bytes(FILES[FIRST])
    (folder / name).write_text(json.dumps(record))
    return folder / name


def fault(path: Path, root: Path | None = None) -> str:
    with pytest.raises(SenaError) as caught:
        read_pairs(path, root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", RECORDS)
def test_the_samples_are_good(name: str, tmp_path: Path) -> None:
    file = put(tmp_path, [RECORDS[name]])
    assert told(read_pairs(file).pairs) == {(FIRST, "answer", "What?", "red", "blue")}


@pytest.mark.parametrize("ending", ["\n", ""])
def test_one_record_a_line_is_as_good_as_a_list(ending: str, tmp_path: Path) -> None:
    put(tmp_path, [])
    record = RECORDS["released"]
    lines = "\n".join(
        json.dumps({**record, "chosen": f"red {n}", "type": kind}) for n, kind in enumerate(("gen", "des"))
    )
    (tmp_path / "seva.jsonl").write_text(lines + ending)
    found = read_pairs(tmp_path / "seva.jsonl")
    assert [pair.kind for pair in found.pairs] == ["answer", "description"]
    assert found.layout == "SENA or SeVa"


def test_a_seva_file_without_type_holds_answers(tmp_path: Path) -> None:
    record = {key: value for key, value in RECORDS["released"].items() if key != "type"}
    assert read_pairs(put(tmp_path, [record])).pairs[0].kind == "answer"


@pytest.mark.parametrize(("name", "column"), NEEDED)
def test_a_missing_column(name: str, column: str, tmp_path: Path) -> None:
    lacking = {key: value for key, value in RECORDS[name].items() if key != column}
    said = fault(put(tmp_path, [RECORDS[name], lacking]))
    assert f"pairs.json, record 2 has no `{column}`: a row of " in said


def test_a_missing_column_in_the_first_row_names_the_nearest_layout(tmp_path: Path) -> None:
    lacking = {key: value for key, value in RECORDS["released"].items() if key != "reject"}
    said = fault(put(tmp_path, [lacking]))
    assert said.endswith(
        "record 1 has no `reject`: a row of SENA or SeVa's layout needs question, chosen, reject, image"
    )


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("llava", {"image": ["a.png", "a.png"]}, "there are 2 pictures, and sena takes one a pair"),
        ("llava", {"image": 3}, "a picture is named by its path"),
        ("llava", {"conversations": "What?"}, "a conversation is a list of objects with `from` and `value`"),
        ("llava", {"conversations": []}, "the turns are none, and sena takes human and gpt alone"),
        ("llava", {"conversations": [{"from": "human", "value": "x"}] * 3}, "the turns are human, human, human"),
        ("llava", {"rejected_conversations": RECORDS["llava"]["conversations"][:1]}, "the turns are human"),
        (
            "llava",
            {"rejected_conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "b"}]},
            "the two conversations ask different things",
        ),
        ("llama-factory", {"images": []}, "there are 0 pictures"),
        ("llama-factory", {"images": ["a.png", "a.png"]}, "there are 2 pictures"),
        ("llama-factory", {"chosen": "red"}, "a conversation is a list of objects"),
        (
            "llama-factory",
            {"conversations": [{"from": "human", "value": "<image><image>What?"}]},
            "one picture and 2 times <image> in the prompt do not fit",
        ),
        (
            "llama-factory",
            {"conversations": [{"from": "human", "value": "What?"}]},
            "one picture and 0 times <image> in the prompt do not fit",
        ),
        (
            "llama-factory",
            {"conversations": [{"from": "human", "value": "In <image> what?"}]},
            "<image> stands amid the prompt",
        ),
        ("llama-factory", {"conversations": [{"from": "human", "value": "<image>\n"}]}, "nothing but <image>"),
        ("ms-swift", {"rejected_response": ""}, "`rejected_response` has to be a text that is not empty"),
        ("ms-swift", {"rejected_response": None}, "`rejected_response` has to be a text"),
        ("released", {"chosen": ["red"]}, "`chosen` has to be a text"),
        ("released", {"chosen": "half \ud83d"}, "`chosen` holds half a character"),
        ("released", {"image": "half \ud83d.png"}, "the picture's path is no text"),
    ],
)
def test_a_wrong_row(name: str, change: dict[str, Any], words: str, tmp_path: Path) -> None:
    said = fault(put(tmp_path, [RECORDS[name], {**RECORDS[name], **change}]))
    assert "pairs.json, record 2: " in said
    assert words in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no pair"),
        ("[]", "holds no pair"),
        ("[1]", "record 1 is no object with columns"),
        ('[{"a": 1}, ', "is not valid JSON"),
        ('{"question": ', "line 1 is not valid JSON"),
        ("[" * 100_000, "is not a JSON text"),
        ('[{"some": 1}]', "record 1 has no"),
    ],
)
def test_a_file_that_is_no_list_of_records(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.json").write_text(text)
    said = fault(tmp_path / "pairs.json")
    assert words in said
    assert str(tmp_path / "pairs.json") in said


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for name in ("none.json", "none.parquet", "none"):
        assert "There is no file of pairs at" in fault(tmp_path / name)
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    assert "is not a JSON text" in fault(tmp_path / "bytes.json")


@pytest.mark.parametrize("path", ["../secret.png", "a/../../secret.png", "link.png", "linked/secret.png", "ABSOLUTE"])
def test_no_picture_from_outside_the_root(path: str, tmp_path: Path) -> None:
    outside = tmp_path / "secret.png"
    outside.write_bytes(FILES[FIRST])
    root = tmp_path / "root"
    file = put(root, [{**RECORDS["released"], "image": str(outside) if path == "ABSOLUTE" else path}])
    (root / "a").mkdir()
    (root / "link.png").symlink_to(outside)
    (root / "linked").symlink_to(tmp_path)
    said = fault(file)
    assert "record 1: its picture cannot be used (outside its root: " in said
    assert "--images" in said


@pytest.mark.parametrize(
    ("path", "reason"),
    [("none.png", "missing"), ("nul\0.png", "unreadable"), (".", "unreadable"), ("bad.png", "unknown format"),
     ("a.png/x", "missing"), ("http://127.0.0.1/a.png", "missing"), ("empty.png", "empty")],
)  # fmt: skip
def test_a_picture_that_cannot_be_used(path: str, reason: str, tmp_path: Path) -> None:
    file = put(tmp_path, [{**RECORDS["released"], "image": path}])
    (tmp_path / "bad.png").write_bytes(b"no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    said = fault(file)
    assert "record 1: its picture cannot be used (" in said
    assert reason in said


def test_a_root_of_its_own(tmp_path: Path) -> None:
    """Relative paths start there, absolute ones may lead there; no path in a table is absolute."""
    put(tmp_path / "photos", [])
    for path in ("a.png", str(tmp_path / "photos" / "a.png")):
        (tmp_path / "pairs.json").write_text(json.dumps([{**RECORDS["released"], "image": path}]))
        found = read_pairs(tmp_path / "pairs.json", tmp_path / "photos")
        assert [image.path for image in found.images] == ["a.png"]
    assert "no folder" in fault(tmp_path / "pairs.json", tmp_path / "nowhere")


def parquet(tmp_path: Path, **change: Any) -> Path:
    """One row of TRL's layout with other columns; None takes a column away."""
    user = [{"role": "user", "content": [{"type": "image", "text": None}, {"type": "text", "text": "What?"}]}]
    row: dict[str, Any] = {
        "prompt": user,
        "chosen": [{"role": "assistant", "content": "red"}],
        "rejected": [{"role": "assistant", "content": "blue"}],
        "images": [{"bytes": FILES[FIRST], "path": None}],
    }
    row = {name: value for name, value in {**row, **change}.items() if value is not None}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "pairs.parquet")
    return tmp_path / "pairs.parquet"


def test_the_parquet_sample_is_good(tmp_path: Path) -> None:
    assert told(read_pairs(parquet(tmp_path)).pairs) == {(FIRST, "answer", "What?", "red", "blue")}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"chosen": None}, "pairs.parquet has no column chosen: TRL's layout needs prompt, chosen, rejected, images"),
        ({"images": None}, "has no column `images` or `image`"),
        ({"images": ["a.png"]}, "`images` is no column of pictures"),
        ({"images": [{"bytes": None, "path": "a.png"}, {"bytes": b"x", "path": None}]}, "row 1: there are 2 pictures"),
        ({"images": [{"bytes": b"no picture", "path": "a.png"}]}, "row 1: its picture cannot be used"),
        ({"prompt": "What?"}, "row 1: the layout is not conversational"),
        ({"chosen": [{"role": "user", "content": "red"}]}, "row 1: the turns are user, and sena takes assistant alone"),
        ({"rejected": [{"role": "assistant", "content": ""}]}, "row 1: `content` has to be a text that is not empty"),
        (
            {"prompt": [{"role": "user", "content": [{"type": "text", "text": "What?"}]}]},
            "row 1: one picture and 0 image parts in the prompt do not fit",
        ),
        (
            {"prompt": [{"role": "user", "content": [{"type": "image", "text": "x"}]}]},
            "row 1: a message has 0 text parts",
        ),
    ],
)
def test_a_wrong_parquet_file(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    said = fault(parquet(tmp_path, **change))
    assert words in said
    assert "pairs.parquet" in said


def test_a_parquet_file_without_the_pictures_bytes(tmp_path: Path) -> None:
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pq.read_table(parquet(tmp_path)).drop_columns(["images"])
    pictures = pa.array([[{"bytes": None, "path": "a.png"}]], pa.list_(image))
    pq.write_table(table.append_column("images", pictures), tmp_path / "pairs.parquet")
    assert "has no bytes: embed the pictures in the file" in fault(tmp_path / "pairs.parquet")


def test_a_parquet_file_cut_short(tmp_path: Path) -> None:
    data = parquet(tmp_path).read_bytes()
    (tmp_path / "pairs.parquet").write_bytes(data[: len(data) // 2])
    assert "cannot be read as Parquet" in fault(tmp_path / "pairs.parquet")
    (tmp_path / "pairs.parquet").write_bytes(data[:4] + b"\xff" * (len(data) // 2) + data[4 + len(data) // 2 :])
    assert str(tmp_path / "pairs.parquet") in fault(tmp_path / "pairs.parquet")


@pytest.mark.parametrize("path", ["1/0", "0/1", "-1/0", "0", "x/y", "../0", "0/0/0", "99999999999999999999/0"])
def test_a_parquet_source_refuses_other_paths(path: str, tmp_path: Path) -> None:
    source = ParquetSource("pairs", parquet(tmp_path), max_bytes=10_000)
    assert source.list() == ["0/0"]
    assert source.read("0/0") == FILES[FIRST]
    with pytest.raises(ImageError, match="missing"):
        source.read(path)
    with pytest.raises(ImageError, match="too many bytes"):
        ParquetSource("pairs", parquet(tmp_path), max_bytes=10).read("0/0")


def test_several_exports_in_one_folder_have_to_be_told_apart(tmp_path: Path) -> None:
    for to in EXPORTS:
        write_pairs(to, PAIRS, read_image, tmp_path / to)
    (tmp_path / "trl" / "pairs.json").write_text("[]")
    assert "name the file itself" in fault(tmp_path / "trl")
