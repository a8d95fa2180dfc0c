"""What the sources list and read, and what they say when there is nothing to list."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sena.errors import ImageError, SenaError
from sena.images.llava665k import llava665k_sources
from sena.images.sources import FolderSource, Source
from tests.images.make import plain, write


def test_folder_lists_pictures_of_any_case_sorted_with_slashes(tmp_path: Path) -> None:
    names = ["b.JPG", "a.jpeg", "c/d/e.PnG", "c/f.webp", "Z.gif"]
    others = ["notes.txt", "png", ".hidden.png", ".cache/x.png", "c/.thumbs/y.png", "a.png.part"]
    write(tmp_path, {name: plain(1) for name in names + others})
    source: Source = FolderSource("mine", tmp_path)
    assert source.list() == ["Z.gif", "a.jpeg", "b.JPG", "c/d/e.PnG", "c/f.webp"]
    assert source.read("c/d/e.PnG") == plain(1)


def test_folder_reasons(tmp_path: Path) -> None:
    source = FolderSource("mine", write(tmp_path, {"a.png": plain(1)}), max_bytes=10)
    with pytest.raises(ImageError, match=r"^missing: gone\.png$"):
        source.read("gone.png")
    with pytest.raises(ImageError, match=r"^missing: a\.png/b\.png$"):
        source.read("a.png/b.png")
    with pytest.raises(ImageError, match=r"^too many bytes: a\.png has \d+, the limit is 10$"):
        source.read("a.png")


def test_folder_problems_are_one_sentence_with_a_mend(tmp_path: Path) -> None:
    write(tmp_path, {"file.png": plain(1), "empty/notes.txt": b""})
    with pytest.raises(SenaError, match=r"There is no folder .*nowhere: check the spelling"):
        FolderSource("mine", tmp_path / "nowhere")
    with pytest.raises(SenaError, match=r"file\.png is a file: name the folder"):
        FolderSource("mine", tmp_path / "file.png")
    with pytest.raises(SenaError, match=r"No picture \(\.jpg, .*\) in the folder .*empty: put some there"):
        FolderSource("mine", tmp_path / "empty").list()


def test_a_home_folder_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path, {"photos/a.png": plain(1)})
    assert FolderSource("mine", "~/photos").list() == ["a.png"]


def annotate(folder: Path, *images: Any) -> Path:
    """An annotation file in the shape of LLaVA-665K; None makes a record without a picture."""
    turns = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A cat."}]
    records = [{"id": str(number), "conversations": turns} for number, _ in enumerate(images)]
    for record, image in zip(records, images, strict=True):
        if image is not None:
            record["image"] = image
    (folder / "mix.json").write_text(json.dumps(records))
    return folder / "mix.json"


def test_llava665k_gives_one_source_a_prefix_folder(tmp_path: Path) -> None:
    names = ["coco/train2017/2.jpg", "vg/VG_100K/1.jpg", "coco/train2017/1.jpg", None, "coco/./train2017//2.jpg", ""]
    write(tmp_path, {"coco/train2017/1.jpg": plain(1), "vg/VG_100K/1.jpg": plain(2)})
    coco, vg = llava665k_sources("mix", annotate(tmp_path, *names))
    assert (coco.name, coco.list()) == ("mix/coco", ["train2017/1.jpg", "train2017/2.jpg"])
    assert (vg.name, vg.list(), vg.unlisted()) == ("mix/vg", ["VG_100K/1.jpg"], ())
    assert vg.read("VG_100K/1.jpg") == plain(2)
    with pytest.raises(ImageError, match="missing"):
        coco.read("train2017/2.jpg")


def test_llava665k_with_its_pictures_elsewhere_and_a_folder_missing(tmp_path: Path) -> None:
    write(tmp_path / "disk", {"real-coco/1.jpg": plain(1)})
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "coco").symlink_to(tmp_path / "disk" / "real-coco", target_is_directory=True)
    file = annotate(tmp_path, "coco/1.jpg", "gqa/images/1.jpg", "gqa/images/2.jpg")
    (coco,) = llava665k_sources("mix", file, tmp_path / "data")
    assert coco.read("1.jpg") == plain(1)
    (left_out,) = coco.unlisted()
    belongs = f"folder of 2 pictures; they belong in {tmp_path}/data/gqa/images, or set images.roots.gqa"
    assert (left_out.path, left_out.reason, left_out.detail) == ("gqa/images", "missing", belongs)
    with pytest.raises(SenaError, match=r"names coco, gqa/images, and .* has none of it: set the source's root"):
        llava665k_sources("mix", file)


def test_llava665k_pictures_without_a_prefix(tmp_path: Path) -> None:
    write(tmp_path, {"1.jpg": plain(1)})
    (source,) = llava665k_sources("mix", annotate(tmp_path, "1.jpg"))
    assert (source.name, source.read("1.jpg")) == ("mix", plain(1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"image": "coco/1.jpg"},\n {"image": ]', r"mix\.json is not valid JSON \(line 2, column 12: "),
        ("", r"mix\.json is not valid JSON \(line 1"),
        ("[" * 100_000, r"mix\.json is not a JSON text"),
        ('{"image": "coco/1.jpg"}', r"mix\.json is no list of records"),
        ('[{"image": "coco/1.jpg"}, "coco/2.jpg"]', r"mix\.json, record 2: "),
        ('[{"image": ["coco/1.jpg"]}]', r"mix\.json, record 1: "),
        ("[]", r"names no picture at all"),
    ],
)
def test_llava665k_bad_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mix.json").write_text(text)
    with pytest.raises(SenaError, match=message):
        llava665k_sources("mix", tmp_path / "mix.json")


def test_llava665k_no_file_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(SenaError, match=r"gone\.json cannot be read \(No such file"):
        llava665k_sources("mix", tmp_path / "gone.json")
    (tmp_path / "mix.json").write_bytes(b'["\xff"]')
    with pytest.raises(SenaError, match="is not a JSON text"):
        llava665k_sources("mix", tmp_path / "mix.json")


def test_listing_and_drawing_load_no_torch() -> None:
    code = "import sys, sena.images.llava665k, sena.images.pictures, sena.images.sample; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
