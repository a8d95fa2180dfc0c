"""ScienceQA and the image questions of SEED-Bench on a few rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from sena.errors import SenaError
from sena.evals import choices
from sena.evals.suite import LETTER
from tests.evals import make

PROBLEMS = {
    "3": {"question": "Which?", "choices": ["ice", "fire"], "answer": 1, "hint": "It is hot.", "image": "image.png"},
    "5": {"question": "What?", "choices": ["a", "b", "c"], "answer": 0, "hint": "", "image": None},
    "9": {"question": "Not asked", "choices": ["a", "b"], "answer": 0, "hint": "", "image": None},
}


def scienceqa(root: Path) -> Path:
    make.write_json(root / "scienceqa/problems.json", PROBLEMS)
    make.write_json(root / "scienceqa/pid_splits.json", {"test": ["3", "5"], "train": ["9"]})
    make.picture(root / "scienceqa/images/test/3/image.png")
    return root


def test_scienceqa(tmp_path: Path) -> None:
    """The test split alone. Saying B to both: right with the picture, wrong without: 1/2, with pictures 1."""
    suite = choices.load_scienceqa(scienceqa(tmp_path))
    first, second = (suite.ask(item)[0] for item in suite.items())
    assert first.prompt == f"Context: It is hot.\nWhich?\nA. ice\nB. fire\n{LETTER}"
    assert (second.prompt, second.image) == (f"What?\nA. a\nB. b\nC. c\n{LETTER}", None)
    found = make.values(suite, make.answered(suite, lambda q: "B"))
    assert (found["accuracy"], found["image/accuracy"], found["text/accuracy"]) == (0.5, 1.0, 0.0)


def test_an_answer_without_a_choice_is_wrong_and_counted(tmp_path: Path) -> None:
    suite = choices.load_scienceqa(scienceqa(tmp_path))
    found = make.values(suite, make.answered(suite, lambda q: "fire" if q.image else "no idea"))
    assert (found["accuracy"], found["unclear"]) == (0.5, 0.5)


def test_seed_asks_about_single_pictures_only(tmp_path: Path) -> None:
    row = {"question": "Who?", "choice_a": "he", "choice_b": "she", "choice_c": "it", "choice_d": "they", "answer": "D"}
    rows = [
        {**row, "question_id": "1", "data_id": "10_20", "data_type": "image", "question_type_id": 1},
        {**row, "question_id": 2, "data_id": "10_20", "data_type": "image", "question_type_id": 2, "answer": "A"},
        {**row, "question_id": "v1", "data_id": "x.webm", "data_type": "video", "question_type_id": 2},
    ]
    data = {"questions": rows, "question_type": {"Scene Understanding": 1, "Text": 2}}
    make.write_json(tmp_path / "seed-image/SEED-Bench.json", data)
    make.picture(tmp_path / "seed-image/SEED-Bench-image/10_20.png").rename(
        tmp_path / "seed-image/SEED-Bench-image/10_20"
    )
    suite = choices.load_seed(tmp_path)
    (item,) = suite.items()
    assert len(item.questions) == 2
    assert suite.open_image(item.id).size == (16, 16)
    found = make.values(suite, make.answered(suite, lambda q: "D"))
    assert (found["accuracy"], found["Scene Understanding/accuracy"], found["Text/accuracy"]) == (0.5, 1.0, 0.0)


def test_mistakes_are_named(tmp_path: Path) -> None:
    scienceqa(tmp_path)
    make.write_json(tmp_path / "scienceqa/pid_splits.json", {"test": ["3", "77"]})
    with pytest.raises(SenaError, match="lacks the question 77"):
        choices.load_scienceqa(tmp_path)
    make.write_json(tmp_path / "seed-image/SEED-Bench.json", [])
    with pytest.raises(SenaError, match="has no questions"):
        choices.load_seed(tmp_path)
