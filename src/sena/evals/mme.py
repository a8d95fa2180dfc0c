"""MME: two yes/no questions a picture, one truly yes and one truly no, in 14 kinds (Fu et al. 2023, arXiv 2306.13394).

A kind's points are 100 x (share of questions right + share of pictures with both right), so 200 at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sena.errors import SenaError
from sena.evals import reading, replies
from sena.evals.figures import Measured, Totals
from sena.evals.suite import SHORT, About, Answer, Question, Suite, grouped

PERCEPTION = (
    *("existence", "count", "position", "color", "posters"),
    *("celebrity", "scene", "landmark", "artwork", "OCR"),
)
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
ASKS_YES_NO = "Please answer yes or no."
ABOUT = About(
    name="mme",
    title="MME: yes/no questions about perception and cognition",
    files=(
        ("mme/KIND/", f"pictures and questions, one folder each for {', '.join((*PERCEPTION, *COGNITION))}; in each, "
         "pictures and .txt files side by side, or in images/ and questions_answers_YN/"),
    ),
    source="github.com/BradyFU/Awesome-Multimodal-Large-Language-Models, branch Evaluation (on request); the folder "
    "MME_Benchmark_release_version",
    prompt=f"the question without {ASKS_YES_NO!r}, a line break, {SHORT!r}, as LLaVA does",
    metric="perception: points of ten kinds, at most 2000; cognition: of four, at most 800; unclear: share of answers "
    "that begin with neither yes nor no, counted as wrong",
)  # fmt: skip
_PICTURES = (".jpg", ".png", ".jpeg")


def load(root: Path) -> Suite:
    """Read all 14 kinds. Raises SenaError for a folder that is missing or a question without its picture."""
    questions = [each for kind in (*PERCEPTION, *COGNITION) for each in _kind(root, kind)]
    return Suite(ABOUT, grouped(questions), count, measure, reading.opener(root), reading.demand(root))


def _kind(root: Path, kind: str) -> Iterator[Question]:
    folder = root / "mme" / kind
    split = (folder / "questions_answers_YN").is_dir()
    texts = sorted((folder / "questions_answers_YN" if split else folder).glob("*.txt"))
    if not texts:
        raise SenaError(f"{folder} holds no questions (.txt files): {reading.MEND}")
    for path in texts:
        places = [(folder / "images" if split else folder) / f"{path.stem}{ending}" for ending in _PICTURES]
        picture = next((place for place in places if place.is_file()), None)
        if picture is None:
            raise SenaError(f"The picture {places[0]} (or .png) that {path.name} asks about is missing: {reading.MEND}")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
            if line.strip():
                yield _question(line, path, number, kind, picture.relative_to(root))


def _question(line: str, path: Path, number: int, kind: str, picture: Path) -> Question:
    question, tab, truth = line.strip().rpartition("\t")
    if not tab or truth.strip().lower() not in ("yes", "no"):
        raise SenaError(f"{path}, line {number + 1}, is no question with Yes or No behind a tab: fetch the file again")
    asked = question.replace(ASKS_YES_NO, "").strip()
    return Question(
        f"{kind}/{path.stem}/{number}", f"{asked}\n{SHORT}", picture.as_posix(), truth.strip().lower(), kind
    )


def count(answers: Sequence[Answer]) -> dict[str, float]:
    """Of one picture: questions, those right, and whether all of them are."""
    counts: Counter[str] = Counter()
    right = 0
    for answer in answers:
        said = replies.yes_or_no(answer.text)
        right += said == answer.truth
        counts.update({"asked": 1, "unclear": not said})
        counts.update({f"{answer.group}/asked": 1, f"{answer.group}/right": said == answer.truth})
    counts.update({f"{answers[0].group}/pictures": 1, f"{answers[0].group}/whole": right == len(answers)})
    return {name: float(number) for name, number in counts.items()}


def measure(total: Totals) -> dict[str, Measured]:
    points = {kind: _points(total, kind) for kind in (*PERCEPTION, *COGNITION)}
    sums = {
        "perception": sum((points[kind][0] for kind in PERCEPTION), np.zeros(1)),
        "cognition": sum((points[kind][0] for kind in COGNITION), np.zeros(1)),
    }
    return {
        **{name: (value, total["asked"]) for name, value in sums.items()},
        "unclear": total.share("unclear", "asked"),
        **{f"{kind}/points": value for kind, value in points.items()},
    }


def _points(total: Totals, kind: str) -> Measured:
    accuracy, asked = total.share(f"{kind}/right", f"{kind}/asked")
    whole, _ = total.share(f"{kind}/whole", f"{kind}/pictures")
    return 100 * (accuracy + whole), asked
