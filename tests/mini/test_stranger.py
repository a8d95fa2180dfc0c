"""Who is told that the miniature knows its own world only: the miniature and its rounds, of pictures of other sizes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from sena.cli.main import run_program
from sena.images.sources import FolderSource
from sena.mini import mini_folder, world
from sena.mini.source import MiniSource
from sena.mini.stranger import hint, hint_of, is_miniature
from sena.models.load import load, save

BASE = str(mini_folder())
OWN = world.render(world.make_scene("evaluation", 0))
CUP = "is there a cup ? answer in one word ."


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (64, 48)).save(tmp_path / "photos" / "a.png")
    OWN.save(tmp_path / "own.png")
    return tmp_path / "photos"


def test_a_model_that_began_from_the_miniature_is_one(tiny_folder: Path, tmp_path: Path) -> None:
    save(load(BASE, "float32", "cpu"), tmp_path / "round")
    assert is_miniature(BASE)
    assert is_miniature(str(tmp_path / "round"))
    assert not is_miniature(str(tiny_folder))
    assert not is_miniature("llava-hf/llava-1.5-7b-hf")
    for text in ("{", "[1]", '{"model": {}}'):
        (tmp_path / "round" / "tokenizer.json").write_text(text)
        assert not is_miniature(str(tmp_path / "round"))


def test_the_first_stranger_is_named(tiny_folder: Path) -> None:
    pictures = [("own.png", OWN), ("a.jpg", Image.new("RGB", (49, 48))), ("b.jpg", Image.new("RGB", (9, 9)))]
    assert hint(BASE, pictures).endswith("what it says of a.jpg means nothing")
    assert hint(BASE, pictures[:1]) == ""
    assert hint(str(tiny_folder), pictures) == ""


def test_of_a_source_the_first_picture_is_looked_at(photos: Path) -> None:
    folder = FolderSource("photos", photos)
    assert hint_of(BASE, [MiniSource(), folder]).endswith("what it says of photos: a.png means nothing")
    assert hint_of(BASE, [MiniSource()]) == ""
    (photos / "a.png").write_bytes(b"no picture")
    assert hint_of(BASE, [folder]) == ""


def test_every_verb_says_so(photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """And none of them of a picture of its world."""
    monkeypatch.chdir(photos.parent)
    answer = ["answer", "mini", "--questions", "q.jsonl", "--images"]
    Path("q.jsonl").write_text(json.dumps({"question": CUP}) + "\n")
    for says, picture, out in ((True, "photos/a.png", "a.jsonl"), (False, "own.png", "b.jsonl")):
        for command in (["ask", "mini", picture, CUP], [*answer, picture, "--out", out]):
            assert run_program(command) == 0
            assert (f"of {Path(picture).name} means" in capsys.readouterr().err.replace("photos/", "")) is says
    for verb in (["check"], ["pairs", "--out", "run"]):
        assert run_program([*verb, "demo", "--images", "photos", "--limit", "1", "--set", "run.rounds=1"]) == 0
        assert "note: The miniature knows pictures of its own world" in capsys.readouterr().out.replace("\n", " ")
