"""Given questions: which picture each is about, what becomes of the suffix, and who is told of what is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sena.errors import SenaError
from sena.images.config import GivenConfig
from sena.images.llava665k import llava665k_sources
from sena.images.questions import by_picture, match, questions_about
from sena.images.sample import draw
from sena.images.sources import FolderSource
from tests.images import mix
from tests.images.make import plain, write


def ask(folder: Path, *rows: object) -> GivenConfig:
    (folder / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return GivenConfig(file=str(folder / "q.jsonl"), max_per_image=2)


def test_a_file_names_pictures_as_their_source_does(tmp_path: Path) -> None:
    write(tmp_path / "photos", {"a/1.png": plain(1), "2.png": plain(2), "3.png": plain(3)})
    given = ask(
        tmp_path,
        {"image": "a/1.png", "question": "What is it?"},
        {"image": "photos/2.png", "questions": ["How many?", "How many?", "Where?", "Why?"]},
        {"image": "9.png", "question": "Lost?"},
    )
    matched = match([FolderSource("photos", tmp_path / "photos")], given)
    assert list(matched.sources[0].list()) == ["2.png", "a/1.png"]
    assert matched.summary() == ("6 given questions about 2 pictures; 1 rows of the file are about none, as 9.png")
    drawn = draw(matched.sources, 2, seed=0, round=1)
    found = by_picture(questions_about(drawn.images, matched.sources, given))
    ids = {image.path: image.id for image in drawn.images}
    assert found == {ids["a/1.png"]: ("What is it?",), ids["2.png"]: ("How many?", "Where?")}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"image": "9.png", "question": "x?"}, r"asks about 9\.png and others, and no source has any of them"),
        ({"image": "1.png"}, r"q\.jsonl, row 1: it needs `question`"),
        ({"question": "x?"}, r"q\.jsonl, row 1: it needs `image`"),
        ({"image": "1.png", "question": 3}, r"q\.jsonl, row 1: `question` must be text"),
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, row: object, message: str) -> None:
    write(tmp_path / "photos", {"1.png": plain(1)})
    with pytest.raises(SenaError, match=message):
        match([FolderSource("photos", tmp_path / "photos")], ask(tmp_path, row))


def test_sources_that_ask_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"1.png": plain(1)})
    source = FolderSource("photos", tmp_path)
    with pytest.raises(SenaError, match="photos brings no questions of its own: name a file"):
        match([source], GivenConfig())
    with pytest.raises(SenaError, match="no source is called vg; there are photos"):
        match([source], GivenConfig(sources=("vg",)))
    with pytest.raises(SenaError, match="There is no file"):
        match([source], GivenConfig(file="gone.jsonl"))


def test_questions_from_annotations_with_the_suffix_kept_or_stripped_by_source(tmp_path: Path) -> None:
    given = GivenConfig(sources=("ocr_vqa", "textvqa"), max_per_image=2, strip=("ocr_vqa",))
    matched = match(llava665k_sources("mix", mix.build(tmp_path)), given)
    assert [source.name for source in matched.sources] == ["mix/ocr_vqa", "mix/textvqa"]
    drawn = draw(matched.sources, 6, seed=0, round=1)
    found = by_picture(questions_about(drawn.images, matched.sources, given))
    paths = {f"{image.source}/{image.path}": found[image.id] for image in drawn.images}
    assert paths["mix/ocr_vqa/images/2.jpg"] == ("What is in picture 6?", "Is picture 6 bright?")
    assert paths["mix/textvqa/train_images/a.jpg"] == (f"What is in picture 8?\n{mix.SHORT}", "Is picture 8 bright?")
    assert paths["mix/ocr_vqa/images/1.jpg"] == ("What is in picture 5?", "Is picture 5 bright?")  # and not 13's
    one = questions_about(drawn.images, matched.sources, given.model_copy(update={"max_per_image": 1}))
    assert len(one) == 6
