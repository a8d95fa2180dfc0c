"""Every layout gives back what was put in, and only that."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sena import ids
from sena.errors import ImageError, SenaError
from sena.formats import EXPORTS
from sena.formats.example import PLACEHOLDERS
from sena.formats.read import read_pairs
from sena.formats.write import write_pairs
from sena.records import Pair
from tests.formats.make import FILES, FIRST, PAIRS, pictures_in, read_image, told

WITH_FOLDER = ["llama-factory", "ms-swift", "llava"]


@pytest.mark.parametrize("to", EXPORTS)
def test_pairs_and_pictures_come_back(to: str, tmp_path: Path) -> None:
    made = write_pairs(to, PAIRS, read_image, tmp_path / "out")
    assert (made.folder, made.pairs, made.left_out) == (tmp_path / "out", 4, ())
    found = read_pairs(tmp_path / "out")
    assert told(found.pairs) == told(PAIRS)
    assert [image.id for image in found.images] == sorted(FILES)
    assert all(found.source.read(image.path) == FILES[image.id] for image in found.images)
    assert all((image.width, image.height) == (20, 16) for image in found.images)
    assert found.layout == EXPORTS[to].TITLE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize("to", EXPORTS)
def test_a_second_trip_changes_nothing(to: str, tmp_path: Path) -> None:
    write_pairs(to, PAIRS, read_image, tmp_path / "one")
    first = read_pairs(tmp_path / "one")
    write_pairs(to, first.pairs, read_image, tmp_path / "two")
    second = read_pairs(tmp_path / "two")
    assert {pair.id: pair for pair in first.pairs} == {pair.id: pair for pair in second.pairs}


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), min_size=1, max_size=30).filter(
    lambda text: text.strip() and not text.startswith("\n") and not any(mark in text for mark in PLACEHOLDERS)
)


@settings(max_examples=25, deadline=None)
@given(prompt=words, chosen=words, rejected=words)
@pytest.mark.parametrize("to", EXPORTS)
def test_any_text_comes_back(
    to: str, prompt: str, chosen: str, rejected: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pair = Pair("p", "r", FIRST, "answer", prompt, chosen, rejected)
    out = tmp_path_factory.mktemp("words") / "out"
    write_pairs(to, [pair], read_image, out)
    assert told(read_pairs(out).pairs) == told([pair])


@pytest.mark.parametrize("to", WITH_FOLDER)
def test_each_picture_is_there_once_under_a_name_of_its_content(to: str, tmp_path: Path) -> None:
    write_pairs(to, PAIRS, read_image, tmp_path / "out")
    expected = {
        f"{image_id}{end}": FILES[image_id] for image_id, end in zip(FILES, (".png", ".jpg", ".webp"), strict=True)
    }
    assert pictures_in(tmp_path / "out") == expected


@pytest.mark.parametrize("to", WITH_FOLDER)
def test_an_image_id_never_becomes_a_path(to: str, tmp_path: Path) -> None:
    pair = replace(PAIRS[0], image_id="../../evil")
    write_pairs(to, [pair], lambda image_id: FILES[FIRST], tmp_path / "a" / "b" / "out")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file() and "evil" in path.name) == []
    assert list(pictures_in(tmp_path / "a" / "b" / "out")) == [f"{ids.of_bytes(FILES[FIRST])}.png"]


@pytest.mark.parametrize("mark", PLACEHOLDERS)
@pytest.mark.parametrize("name", ["prompt", "chosen", "rejected"])
def test_a_pair_that_others_would_misread_is_left_out_and_told(mark: str, name: str, tmp_path: Path) -> None:
    odd = replace(PAIRS[0], id="odd", **{name: f"see {mark} here"})
    made = write_pairs("llama-factory", [odd, *PAIRS], read_image, tmp_path / "out")
    assert (made.pairs, made.left_out) == (4, ("odd",))
    assert mark not in (tmp_path / "out" / "pairs.json").read_text().replace('"<image>', "")


def test_equal_rows_keep_an_id_each(tmp_path: Path) -> None:
    twice = [PAIRS[1], replace(PAIRS[1], id="again")]
    write_pairs("ms-swift", twice, read_image, tmp_path / "out")
    first, second = read_pairs(tmp_path / "out").pairs
    assert first.id != second.id
    assert told([first]) == told([second]) == told([PAIRS[1]])


def test_ids_do_not_depend_on_the_order(tmp_path: Path) -> None:
    write_pairs("llava", PAIRS, read_image, tmp_path / "one")
    write_pairs("llava", PAIRS[::-1], read_image, tmp_path / "two")
    one, two = read_pairs(tmp_path / "one").pairs, read_pairs(tmp_path / "two").pairs
    assert one == two[::-1]


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(SenaError, match="empty or new folder"):
        write_pairs("trl", PAIRS, read_image, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep"
    with pytest.raises(SenaError, match="known are trl, llama-factory, ms-swift, llava"):
        write_pairs("parquet", PAIRS, read_image, tmp_path / "new")
    with pytest.raises(SenaError, match="no pairs to export"):
        write_pairs("trl", [], read_image, tmp_path / "new")


@pytest.mark.parametrize("to", EXPORTS)
def test_what_fails_half_way_leaves_nothing(to: str, tmp_path: Path) -> None:
    def gone(image_id: str) -> bytes:
        if image_id == FIRST:
            return FILES[FIRST]
        raise ImageError("missing", "photo.jpg")

    with pytest.raises(SenaError, match=r"picture of pair p\d cannot be read \(missing: photo.jpg\): put it back"):
        write_pairs(to, PAIRS, gone, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_equal_pairs_are_equal_bytes(tmp_path: Path) -> None:
    for to in EXPORTS:
        write_pairs(to, PAIRS, read_image, tmp_path / to / "one")
        write_pairs(to, PAIRS, read_image, tmp_path / to / "two")
        for path in sorted((tmp_path / to / "one").rglob("*")):
            if path.is_file():
                other = tmp_path / to / "two" / path.relative_to(tmp_path / to / "one")
                assert path.read_bytes() == other.read_bytes(), path


def test_the_layouts_to_the_letter(tmp_path: Path) -> None:
    """Each as its program's own documentation shows it."""
    for to in WITH_FOLDER:
        write_pairs(to, PAIRS[1:2], read_image, tmp_path / to)
    image = f"images/{FIRST}.png"
    factory = json.loads((tmp_path / "llama-factory" / "pairs.json").read_text())
    assert factory == [
        {
            "id": "p2",
            "type": "answer",
            "conversations": [{"from": "human", "value": "<image>What colour?"}],
            "chosen": {"from": "gpt", "value": "red"},
            "rejected": {"from": "gpt", "value": "blue"},
            "images": [image],
        }
    ]
    assert json.loads((tmp_path / "llama-factory" / "dataset_info.json").read_text()) == {
        "sena": {
            "file_name": "pairs.json",
            "formatting": "sharegpt",
            "ranking": True,
            "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected", "images": "images"},
        }
    }
    assert json.loads((tmp_path / "ms-swift" / "pairs.jsonl").read_text()) == {
        "id": "p2",
        "type": "answer",
        "messages": [{"role": "user", "content": "<image>What colour?"}, {"role": "assistant", "content": "red"}],
        "images": [image],
        "rejected_response": "blue",
    }
    question = {"from": "human", "value": "<image>\nWhat colour?"}
    assert json.loads((tmp_path / "llava" / "pairs.json").read_text()) == [
        {
            "id": "p2",
            "type": "answer",
            "image": image,
            "conversations": [question, {"from": "gpt", "value": "red"}],
            "rejected_conversations": [question, {"from": "gpt", "value": "blue"}],
        }
    ]
