"""HallusionBench: the same yes/no question about a figure and about its altered twins (Guan et al., arXiv 2310.14566).

Questions that need the picture (VD) and those that knowledge alone could answer (VS); of the latter some are asked
without a picture, where "I do not know" counts as right. All questions of one set are resampled together, since a
question pair spans its figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sena.evals import reading, replies
from sena.evals.figures import Measured, Totals
from sena.evals.suite import SHORT, About, Answer, Question, Suite, grouped

ABOUT = About(
    name="hallusionbench",
    title="HallusionBench: consistency over figures and their altered twins",
    files=(
        ("hallusionbench/HallusionBench.json", "questions and truth"),
        ("hallusionbench/hallusion_bench/", "the figures, hallusion_bench.zip unpacked"),
    ),
    source="github.com/tianyi-lab/HallusionBench, and its link to the figures",
    prompt=f"the question, a line break, {SHORT!r}",
    metric="pair_accuracy: questions right on all figures that they are asked about; figure_accuracy: figures with all "
    "questions right; accuracy: questions right; easy and hard: pairs among original and among altered figures. By "
    "rule (first word yes or no), where the authors let GPT-4 judge",
    unit="sets",
)
COLUMNS = (
    *("category", "subcategory", "visual_input", "set_id"),
    *("figure_id", "question_id", "question", "gt_answer", "filename"),
)


def load(root: Path) -> Suite:
    """Raises SenaError for a file or field that is missing."""
    path = root / "hallusionbench" / "HallusionBench.json"
    questions = [_question(row) for row in reading.checked(reading.read_json(path), COLUMNS, path)]
    items = grouped(questions, key=lambda question: question.truth["set"])
    return Suite(ABOUT, items, count, measure, reading.opener(root), reading.demand(root))


def _question(row: dict[str, Any]) -> Question:
    kind, figure = str(row["category"]), str(row["figure_id"])
    one_set = "/".join([kind, str(row["subcategory"]), str(row["set_id"])])
    truth = {
        "answer": "yes" if str(row["gt_answer"]) == "1" else "no",
        "set": one_set,
        "figure": figure,
        "question": str(row["question_id"]),
        "altered": str(row["visual_input"]) == "2",
        "may_not_know": kind == "VS" and figure == "0",
    }
    image = f"hallusionbench/{reading.inside(row['filename'])}" if row["filename"] else None
    name = f"{one_set}/{figure}/{row['question_id']}"
    return Question(name, f"{row['question']}\n{SHORT}", image, truth, kind)


def is_right(answer: Answer) -> bool:
    said = replies.yes_or_no(answer.text)
    return said == answer.truth["answer"] or (not said and answer.truth["may_not_know"])


def count(answers: Sequence[Answer]) -> dict[str, float]:
    """Of one set: questions, figures (asked without a picture is none), pairs, and easy and hard pairs."""
    groups: dict[tuple[str, str], list[bool]] = {}
    for answer in answers:
        truth, right = answer.truth, is_right(answer)
        places = [("question", answer.id), ("pair", truth["question"])]
        places.append(("hard" if truth["altered"] else "easy", truth["question"]))
        if not truth["may_not_know"]:
            places.append(("figure", truth["figure"]))
        for place in places:
            groups.setdefault(place, []).append(right)
    counts: Counter[str] = Counter()
    for (kind, _), marks in groups.items():
        for where in ("", f"{answers[0].group}/"):
            counts.update({f"{where}{kind}": 1, f"{where}{kind}_right": all(marks)})
    return {name: float(number) for name, number in counts.items()}


def measure(total: Totals) -> dict[str, Measured]:
    names = {
        "pair_accuracy": "pair",
        "figure_accuracy": "figure",
        "accuracy": "question",
        "easy_accuracy": "easy",
        "hard_accuracy": "hard",
    }
    return {
        f"{where}{name}": total.share(f"{where}{kind}_right", f"{where}{kind}")
        for where in ("", "VD/", "VS/")
        for name, kind in names.items()
    }
