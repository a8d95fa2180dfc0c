"""VQAv2, TextVQA, VizWiz and GQA on a few rows, with and without truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sena.errors import SenaError
from sena.evals import vqa
from sena.evals.suite import SHORT
from tests.evals import make

TEN = [{"answer": "two"}] * 3 + [{"answer": "red"}] * 7


def vqav2(root: Path, split: str, folder: str) -> Path:
    rows = [{"question_id": 90, "image_id": 9, "question": "How many?"}]
    make.write_json(root / f"vqav2/v2_OpenEnded_mscoco_{split}_questions.json", {"questions": rows})
    make.picture(root / f"coco/{folder}/COCO_{folder}_000000000009.jpg")
    return root


def test_vqav2_with_truth(tmp_path: Path) -> None:
    """ "2" agrees with the three who said two, by 0.9 (see test_replies)."""
    vqav2(tmp_path, "val2014", "val2014")
    truth = {"annotations": [{"question_id": 90, "answers": TEN}]}
    make.write_json(tmp_path / "vqav2/v2_mscoco_val2014_annotations.json", truth)
    suite = vqa.load_vqav2(tmp_path)
    assert suite.ask(suite.items()[0])[0].prompt == f"How many?\n{SHORT}"
    assert make.values(suite, make.answered(suite, lambda q: "2."))["accuracy"] == pytest.approx(0.9)
    make.write_json(tmp_path / "vqav2/v2_mscoco_val2014_annotations.json", {"annotations": [
        {"question_id": 1, "answers": TEN}]})  # fmt: skip
    with pytest.raises(SenaError, match="no answers to the question 90"):
        vqa.load_vqav2(tmp_path)


def test_vqav2_without_truth_gives_a_submission(tmp_path: Path) -> None:
    suite = vqa.load_vqav2(vqav2(tmp_path, "test-dev2015", "test2015"))
    records = make.answered(suite, lambda q: "The Two.")
    assert suite.summarise(records) == {}
    assert suite.submission is not None
    name, content = suite.submission(records[0].answers)
    assert (name, json.loads(content)) == ("vqav2-submission.json", [{"question_id": 90, "answer": "2"}])


def test_textvqa(tmp_path: Path) -> None:
    row = {"question_id": 1, "question": "What brand?", "image_id": "ab", "answers": ["nike"] * 10}
    make.write_json(tmp_path / "textvqa/TextVQA_0.5.1_val.json", {"data": [row]})
    make.picture(tmp_path / "textvqa/train_images/ab.jpg")
    suite = vqa.load_textvqa(tmp_path)
    assert make.values(suite, make.answered(suite, lambda q: "Nike."))["accuracy"] == 1.0


def test_vizwiz_with_and_without_truth(tmp_path: Path) -> None:
    row = {"image": "v.jpg", "question": "What is this?"}
    make.picture(tmp_path / "vizwiz/val/v.jpg")
    make.picture(tmp_path / "vizwiz/test/v.jpg")
    path = make.write_json(tmp_path / "vizwiz/val.json", [{**row, "answers": [{"answer": "unanswerable"}] * 10}])
    suite = vqa.load_vizwiz(tmp_path)
    assert "'Unanswerable'" in suite.ask(suite.items()[0])[0].prompt
    assert make.values(suite, make.answered(suite, lambda q: "Unanswerable"))["accuracy"] == 1.0
    path.unlink()
    make.write_json(tmp_path / "vizwiz/test.json", [row])
    hidden = vqa.load_vizwiz(tmp_path)
    assert hidden.submission is not None
    _, content = hidden.submission(make.answered(hidden, lambda q: "A can.")[0].answers)
    assert json.loads(content) == [{"image": "v.jpg", "answer": "can"}]


def test_gqa_is_exact_but_for_case_and_a_full_stop(tmp_path: Path) -> None:
    questions = {
        "q1": {"question": "Left?", "imageId": "n1", "answer": "dog"},
        "q2": {"question": "Right?", "imageId": "n1", "answer": "cat"},
    }
    make.write_json(tmp_path / "gqa/testdev_balanced_questions.json", questions)
    make.picture(tmp_path / "gqa/images/n1.jpg")
    suite = vqa.load_gqa(tmp_path)
    found = suite.summarise(make.answered(suite, lambda q: "Dog." if q.id == "q1" else "a cat"))["accuracy"]
    assert (found["value"], found["n"]) == (0.5, 2)


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(SenaError, match="vqav2 holds no v2_OpenEnded"):
        vqa.load_vqav2(tmp_path)
    make.write_json(tmp_path / "textvqa/TextVQA_0.5.1_val.json", {"data": [{"question_id": 1}]})
    with pytest.raises(SenaError, match="row 1, lacks question, image_id, answers"):
        vqa.load_textvqa(tmp_path)
    make.write_json(tmp_path / "gqa/testdev_balanced_questions.json", [])
    with pytest.raises(SenaError, match="no object of questions"):
        vqa.load_gqa(tmp_path)
    (tmp_path / "gqa/testdev_balanced_questions.json").write_text("{")
    with pytest.raises(SenaError, match="is not valid JSON"):
        vqa.load_gqa(tmp_path)
