"""Short answers compared with what people said: VQAv2, TextVQA, VizWiz (ten people each) and GQA (one truth)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sena.errors import SenaError
from sena.evals import figures, reading, replies
from sena.evals.suite import SHORT, About, Answer, Question, Suite, grouped

PROMPT = f"the question, a line break, {SHORT!r}"
AGREEMENT = "accuracy: agreement with ten people, who count as one third each up to one, after the servers' normalising"
UNANSWERABLE = "When the provided information is insufficient, respond with 'Unanswerable'."
VQAV2 = About(
    name="vqav2",
    title="VQAv2: short answers, COCO pictures",
    files=(
        ("vqav2/v2_OpenEnded_mscoco_*_questions.json", "one split's questions: val2014 or test-dev2015"),
        ("vqav2/v2_mscoco_val2014_annotations.json", "the truth, for val2014 only"),
        ("coco/val2014/ or coco/test2015/", "COCO's pictures"),
    ),
    source="visualqa.org; cocodataset.org",
    prompt=PROMPT,
    metric=f"{AGREEMENT}; for test-dev2015 a submission file",
)
TEXTVQA = About(
    name="textvqa",
    title="TextVQA: questions about writing in pictures, validation split",
    files=(
        ("textvqa/TextVQA_0.5.1_val.json", "questions and truth"),
        ("textvqa/train_images/", "the pictures, train_val_images.zip"),
    ),
    source="textvqa.org",
    prompt=f"{PROMPT}; without OCR words, which LLaVA's own run adds",
    metric=AGREEMENT,
)
VIZWIZ = About(
    name="vizwiz",
    title="VizWiz-VQA: pictures taken by blind people",
    files=(
        ("vizwiz/val.json or vizwiz/test.json", "one split's questions (Annotations.zip)"),
        ("vizwiz/val/ or vizwiz/test/", "its pictures"),
    ),
    source="vizwiz.org",
    prompt=f"the question, a line break, {UNANSWERABLE!r}, a line break, {SHORT!r}",
    metric=f"{AGREEMENT}; for test a submission file",
)
GQA = About(
    name="gqa",
    title="GQA: questions made of scene graphs, testdev_balanced",
    files=(
        ("gqa/testdev_balanced_questions.json", "questions and truth"),
        ("gqa/images/", "the pictures"),
    ),
    source="cs.stanford.edu/people/dorarad/gqa",
    prompt=PROMPT,
    metric="accuracy: share of answers equal to the truth in lower case without a full stop at the end",
)


def load_vqav2(root: Path) -> Suite:
    """val2014 with its truth, or test-dev2015, whichever file of questions is there."""
    path = reading.one_of(root / "vqav2", "v2_OpenEnded_mscoco_*_questions.json")
    split = path.name.split("_")[3]
    folder = "val2014" if split == "val2014" else "test2015"
    rows = _rows(path, "questions", ("question_id", "image_id", "question"))
    truths: dict[Any, list[str]] = {}
    if split == "val2014":
        annotations = root / "vqav2" / "v2_mscoco_val2014_annotations.json"
        for row in _rows(annotations, "annotations", ("question_id", "answers")):
            truths[row["question_id"]] = [each["answer"] for each in row["answers"]]
        _demand_truth([row["question_id"] for row in rows], truths, annotations)
    questions = [
        Question(
            id=str(row["question_id"]),
            prompt=f"{row['question']}\n{SHORT}",
            image=f"coco/{folder}/COCO_{folder}_{int(row['image_id']):012d}.jpg",
            truth=truths.get(row["question_id"]),
        )
        for row in rows
    ]
    return _suite(VQAV2, root, questions, {"split": split}, None if truths else _submit_vqav2)


def _submit_vqav2(answers: Sequence[Answer]) -> tuple[str, bytes]:
    rows = [{"question_id": int(each.id), "answer": replies.normalise(each.text)} for each in answers]
    return "vqav2-submission.json", json.dumps(rows).encode()


def load_textvqa(root: Path) -> Suite:
    path = root / "textvqa" / "TextVQA_0.5.1_val.json"
    questions = [
        Question(
            id=str(row["question_id"]),
            prompt=f"{row['question']}\n{SHORT}",
            image=f"textvqa/train_images/{reading.inside(row['image_id'])}.jpg",
            truth=list(row["answers"]),
        )
        for row in _rows(path, "data", ("question_id", "question", "image_id", "answers"))
    ]
    return _suite(TEXTVQA, root, questions)


def load_vizwiz(root: Path) -> Suite:
    path = reading.one_of(root / "vizwiz", "*.json")
    split = path.stem
    rows = reading.checked(reading.read_json(path), ("image", "question"), path)
    hidden = "answers" not in rows[0]
    if not hidden:
        reading.checked(rows, ("answers",), path)
    questions = [
        Question(
            id=row["image"],
            prompt=f"{row['question']}\n{UNANSWERABLE}\n{SHORT}",
            image=f"vizwiz/{split}/{reading.inside(row['image'])}",
            truth=None if hidden else [each["answer"] for each in row["answers"]],
        )
        for row in rows
    ]
    return _suite(VIZWIZ, root, questions, {"split": split}, _submit_vizwiz if hidden else None)


def _submit_vizwiz(answers: Sequence[Answer]) -> tuple[str, bytes]:
    rows = [{"image": each.id, "answer": replies.normalise(each.text)} for each in answers]
    return "vizwiz-submission.json", json.dumps(rows).encode()


def load_gqa(root: Path) -> Suite:
    path = root / "gqa" / "testdev_balanced_questions.json"
    data = reading.read_json(path)
    if not isinstance(data, dict):
        raise SenaError(f"{path} is no object of questions by id: is this GQA's own file?")
    rows = reading.checked(data.values(), ("question", "imageId", "answer"), path)
    questions = [
        Question(name, f"{row['question']}\n{SHORT}", f"gqa/images/{reading.inside(row['imageId'])}.jpg", row["answer"])
        for name, row in zip(data, rows, strict=True)
    ]
    return _suite(GQA, root, questions)


def _rows(path: Path, part: str, columns: Sequence[str]) -> list[dict[str, Any]]:
    data = reading.read_json(path)
    if not isinstance(data, dict) or part not in data:
        raise SenaError(f"{path} has no {part}: is this the authors' own file?")
    return reading.checked(data[part], columns, path)


def _demand_truth(asked: Sequence[Any], truths: dict[Any, list[str]], path: Path) -> None:
    lacks = [name for name in asked if name not in truths]
    if lacks:
        raise SenaError(f"{path} has no answers to the question {lacks[0]}: take both files from one release")


def _suite(
    about: About,
    root: Path,
    questions: Sequence[Question],
    notes: dict[str, str] | None = None,
    submission: Callable[[Sequence[Answer]], tuple[str, bytes]] | None = None,
) -> Suite:
    return Suite(
        about,
        grouped(questions),
        count,
        figures.accuracies if submission is None else lambda total: {},
        reading.opener(root),
        reading.demand(root),
        notes=notes or {},
        submission=submission,
    )


def points(answer: Answer) -> float:
    """From 0 to 1: agreement with people where `truth` lists what they said, else whether it is the truth."""
    if isinstance(answer.truth, list):
        return replies.vqa_accuracy(answer.text, answer.truth)
    return float(answer.text.strip().rstrip(".").lower() == answer.truth)


def count(answers: Sequence[Answer]) -> dict[str, float]:
    return figures.tally((answer.group, points(answer)) for answer in answers if answer.truth is not None)
