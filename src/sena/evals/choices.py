"""ScienceQA (Lu et al. 2022, arXiv 2209.09513) and SEED-Image (Li et al. 2023, arXiv 2307.16125): choose a letter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sena.errors import SenaError
from sena.evals import figures, reading, replies
from sena.evals.figures import Measured, Totals
from sena.evals.suite import LETTER, About, Answer, Question, Suite, grouped, options

LETTERS = "ABCDEFGH"
UNCLEAR = "unclear: answers in which no choice was found, counted as wrong"
SCIENCEQA = About(
    name="scienceqa",
    title="ScienceQA: school questions, test split, with and without pictures",
    files=(
        ("scienceqa/problems.json", "questions and truth"),
        ("scienceqa/pid_splits.json", "which questions are the test split"),
        ("scienceqa/images/test/", "the pictures, a folder for each question"),
    ),
    source="github.com/lupantech/ScienceQA, folder data/scienceqa",
    prompt=f"'Context: ' and the hint where there is one, the question, the choices as lines 'A. ...', {LETTER!r}",
    metric=f"image/accuracy: questions with a picture, the number that LLaVA reports; accuracy: all; {UNCLEAR}",
)
SEED = About(
    name="seed-image",
    title="SEED-Bench, the questions about single pictures",
    files=(
        ("seed-image/SEED-Bench.json", "questions and truth"),
        ("seed-image/SEED-Bench-image/", "the pictures"),
    ),
    source="github.com/AILab-CVC/SEED-Bench, and huggingface.co/datasets/AILab-CVC/SEED-Bench",
    prompt=f"the question, the choices as lines 'A. ...', {LETTER!r}",
    metric=f"accuracy: share of questions right, and for each kind; {UNCLEAR}",
)


def load_scienceqa(root: Path) -> Suite:
    """The test split in its own order. Raises SenaError for what is missing."""
    folder = root / "scienceqa"
    path, splits = folder / "problems.json", reading.read_json(folder / "pid_splits.json")
    problems = reading.read_json(path)
    if not isinstance(splits, dict) or "test" not in splits or not isinstance(problems, dict):
        raise SenaError(f"{folder} does not hold ScienceQA's own problems.json and pid_splits.json: {reading.MEND}")
    lacks = [name for name in splits["test"] if name not in problems]
    if lacks:
        raise SenaError(f"{path} lacks the question {lacks[0]} of the test split: take both files from one release")
    rows = [problems[name] for name in splits["test"]]
    reading.checked(rows, ("question", "choices", "answer", "hint", "image"), path)
    questions = [_science(name, row) for name, row in zip(splits["test"], rows, strict=True)]
    return _suite(SCIENCEQA, root, questions)


def _science(name: str, row: dict[str, Any]) -> Question:
    hint = f"Context: {row['hint']}\n" if row["hint"] else ""
    prompt = f"{hint}{options(row['question'], row['choices'])}\n{LETTER}"
    image = f"scienceqa/images/test/{name}/{reading.inside(row['image'])}" if row["image"] else None
    truth = {"choices": row["choices"], "answer": LETTERS[row["answer"]]}
    return Question(name, prompt, image, truth, "image" if image else "text")


def load_seed(root: Path) -> Suite:
    """Raises SenaError for a file or field that is missing."""
    path = root / "seed-image" / "SEED-Bench.json"
    data = reading.read_json(path)
    if not isinstance(data, dict) or "questions" not in data:
        raise SenaError(f"{path} has no questions: is this SEED-Bench's own file?")
    fields = ("question_id", "question", "data_id", "data_type", "answer", *(f"choice_{each}" for each in "abcd"))
    rows = [row for row in reading.checked(data["questions"], fields, path) if row["data_type"] == "image"]
    kinds = {number: name for name, number in data.get("question_type", {}).items()}
    questions = []
    for row in rows:
        choices = [str(row[f"choice_{each}"]) for each in "abcd"]
        prompt = f"{options(row['question'], choices)}\n{LETTER}"
        image = f"seed-image/SEED-Bench-image/{reading.inside(row['data_id'])}"
        kind = str(kinds.get(row.get("question_type_id"), "")).replace("/", " ")
        truth = {"choices": choices, "answer": row["answer"]}
        questions.append(Question(str(row["question_id"]), prompt, image, truth, kind))
    return _suite(SEED, root, questions)


def _suite(about: About, root: Path, questions: Sequence[Question]) -> Suite:
    return Suite(about, grouped(questions), count, measure, reading.opener(root), reading.demand(root))


def count(answers: Sequence[Answer]) -> dict[str, float]:
    said = [replies.letter(answer.text, answer.truth["choices"]) for answer in answers]
    marks = [(a.group, float(letter == a.truth["answer"])) for a, letter in zip(answers, said, strict=True)]
    return {**figures.tally(marks), "unclear": float(said.count(""))}


def measure(total: Totals) -> dict[str, Measured]:
    found = figures.accuracies(total)
    return {"accuracy": found.pop("accuracy"), "unclear": total.share("unclear", "asked"), **found}
