"""The miniature of LLaVA-665K in every layout, through the program itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sena.cli.main import run_program
from sena.images.llava665k import llava665k_sources
from sena.images.sample import draw
from sena.records import Pair
from sena.runs import tables
from tests.images import mix

PLACES = {"llava": {}, "peers": mix.PEERS, "own": mix.OWN}


def roots(folder: Path, layout: str) -> dict[str, str]:
    return {key: str(folder / place) for key, place in mix.OWN.items()} if layout == "own" else {}


@pytest.mark.parametrize("layout", PLACES)
def test_every_layout_gives_the_same_pictures(tmp_path: Path, layout: str) -> None:
    file = mix.build(tmp_path, PLACES[layout])
    sources = llava665k_sources("mix", file, places=roots(tmp_path, layout))
    assert {source.name: len(source.list()) for source in sources} == {
        "mix/coco": 3,
        "mix/gqa": 2,
        "mix/ocr_vqa": 3,
        "mix/textvqa": 3,
        "mix/vg": 2,
    }
    drawn = draw(sources, 13, seed=0, round=1)
    assert drawn.skipped == ()
    assert {f"{image.source.removeprefix('mix/')}/{image.path}" for image in drawn.images} == set(mix.FILES)


def test_only_some_data_sets_are_wanted(tmp_path: Path) -> None:
    file = mix.build(tmp_path, mix.PEERS)
    assert [source.name for source in llava665k_sources("m", file, only=("ocrvqa", "vg"))] == ["m/ocr_vqa", "m/vg"]


def spoil(folder: Path) -> Path:
    """A GIF named jpg, an empty, a cut, a repeated, a missing file and a missing folder."""
    file = mix.build(folder)
    whole = (folder / "coco/train2017/000000000001.jpg").read_bytes()
    mix.put(folder, "gqa/images/1.jpg", (mix.PHOTOS / "no_time_for_that_tiny.gif").read_bytes())
    mix.put(folder, "gqa/images/2.jpg", b"")
    mix.put(folder, "coco/train2017/000000000002.jpg", whole)
    mix.put(folder, "vg/VG_100K/1.jpg", whole[:900])
    (folder / "textvqa/train_images/c.jpg").unlink()
    shutil.rmtree(folder / "ocr_vqa")
    return file


def test_check_says_what_every_picture_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny_folder: Path
) -> None:
    file = spoil(tmp_path)
    monkeypatch.chdir(tmp_path)
    arguments = ["--model", str(tiny_folder), "--images", str(file), "--rounds", "1", "--limit", "4"]
    assert run_program(["check", "sena-7b", *arguments, "--all-images"]) == 0
    said = capsys.readouterr().out
    name = file.stem
    for line in (
        f"images of {name}/gqa: 2 listed, 2 there, 1 usable",
        f"images of {name}/textvqa: 3 listed, 2 there, 2 usable",
        "1 empty:",
        "1 of another format than its name says:",
        f"  {name}/textvqa: train_images/c.jpg (it belongs at {tmp_path}/textvqa/train_images/c.jpg)",
        f"({'the same bytes as'} {name}/coco: train2017/000000000001.jpg)",
        f"note: {name}: ocr_vqa/images: missing: folder of 3 pictures; they belong in {tmp_path}/ocr_vqa/images",
    ):
        assert line in said
    listed = [json.loads(line) for line in (tmp_path / "check-images.jsonl").read_text().splitlines()]
    assert sorted(each["reason"] for each in listed) == [
        "empty",
        "missing",
        "missing",
        "of another format than its name says",
        "repeated",
        "truncated",
    ]


def test_seva_from_annotations_to_pairs(tmp_path: Path, tiny_folder: Path) -> None:
    """The same pairs in all three layouts: questions of people, answers only, and no more than `max_pairs`."""
    found: dict[str, list[Pair]] = {}
    for layout, places in PLACES.items():
        folder = tmp_path / layout
        folder.mkdir()
        file = mix.build(folder, places)
        settings = ["engine.threads=1", "model.dtype=float32", "answer.max_new_tokens=6", "filters.max_pairs=4"]
        settings += [f"images.roots.{key}={place}" for key, place in roots(folder, layout).items()]
        arguments = [part for each in settings for part in ("--set", each)]
        run = folder / "run"
        command = ["pairs", "seva", "--model", str(tiny_folder), "--images", str(file), "--limit", "6"]
        assert run_program([*command, *arguments, "--out", str(run)]) == 0
        found[layout] = tables.read(run / "round-1" / "pairs.parquet", Pair)
        funnel = json.loads((run / "round-1" / "funnel.json").read_text())
        dropped = funnel["dropped"]
        assert funnel["answers"] == 12  # six pictures, two questions each
        assert 4 + dropped["choose"]["over max_pairs"] + dropped.get("filter", {}).get("identical", 0) == 12
    assert found["llava"] == found["peers"] == found["own"]
    for pair in found["llava"]:
        assert (pair.kind, pair.corruption, pair.strength) == ("answer", "diffusion", 500)
        assert pair.chosen == pair.plain != pair.rejected
        assert pair.prompt.startswith(("What is in picture", "Is picture"))
