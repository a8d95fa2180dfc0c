"""POPE: is there such a thing in the picture? (Li et al. 2023, arXiv 2305.10355)

Three splits ask the same number of yes and no about things drawn at random, things often seen, and things that often
stand beside those in the picture. "yes" is positive. The headline is F1 averaged over the splits, as LLaVA reports it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sena.evals import figures, reading, replies
from sena.evals.figures import Measured, Totals
from sena.evals.suite import SHORT, About, Answer, Question, Suite, grouped

SPLITS = ("random", "popular", "adversarial")
ABOUT = About(
    name="pope",
    title="POPE: asks whether things are there; F1 of yes over three splits",
    files=(
        *((f"pope/coco_pope_{split}.json", f"the {split} questions") for split in SPLITS),
        ("coco/val2014/", "COCO's validation pictures of 2014"),
    ),
    source="github.com/AoiDragon/POPE, folder output/coco; cocodataset.org, val2014.zip",
    prompt=f"the question, a line break, {SHORT!r}",
    metric="f1: mean F1 of the three splits by POPE's own parser; strict_f1 counts an answer that begins with neither "
    "yes nor no as wrong; yes_ratio: share of the answers that are yes (half of the truth is)",
)


def load(root: Path) -> Suite:
    """Read the three splits. Raises SenaError for a file or field that is missing."""
    questions = [question for split in SPLITS for question in _split(root, split)]
    return Suite(ABOUT, grouped(questions), count, measure, reading.opener(root), reading.demand(root))


def _split(root: Path, split: str) -> list[Question]:
    path = root / "pope" / f"coco_pope_{split}.json"
    return [
        Question(
            id=f"{split}/{row['question_id']}",
            prompt=f"{row['text']}\n{SHORT}",
            image=f"coco/val2014/{reading.inside(row['image'])}",
            truth=row["label"],
            group=split,
        )
        for row in reading.checked(reading.read_lines(path), ("question_id", "image", "text", "label"), path)
    ]


def count(answers: Sequence[Answer]) -> dict[str, float]:
    """Per parser and split: asked, right, said yes, truly yes, both; over all: asked, and neither word said."""
    counts: Counter[str] = Counter()
    for answer in answers:
        official, strict = "no" if replies.pope_says_no(answer.text) else "yes", replies.yes_or_no(answer.text)
        counts.update({"asked": 1, "unclear": not strict})
        for where, said in ((f"{answer.group}/", official), (f"strict_{answer.group}/", strict)):
            counts[f"{where}asked"] += 1
            counts[f"{where}right"] += said == answer.truth
            counts[f"{where}yes"] += said == "yes"
            counts[f"{where}true"] += answer.truth == "yes"
            counts[f"{where}hit"] += said == answer.truth == "yes"
    return {name: float(number) for name, number in counts.items()}


def measure(total: Totals) -> dict[str, Measured]:
    """Means over the splits, then each split by itself."""
    heads: dict[str, Measured] = {}
    parts: dict[str, Measured] = {}
    for parser in ("", "strict_"):
        for split in SPLITS:
            parts |= _split_metrics(total, f"{parser}{split}/")
        for name in ("f1", "accuracy", "yes_ratio"):
            values = [parts[f"{parser}{split}/{name}"][0] for split in SPLITS]
            heads[f"{parser}{name}"] = sum(values, np.zeros(1)) / len(SPLITS), total["asked"]
    return {**heads, "unclear": total.share("unclear", "asked"), **parts}


def _split_metrics(total: Totals, where: str) -> dict[str, Measured]:
    precision, recall = total.share(f"{where}hit", f"{where}yes"), total.share(f"{where}hit", f"{where}true")
    return {
        f"{where}accuracy": total.share(f"{where}right", f"{where}asked"),
        f"{where}precision": precision,
        f"{where}recall": recall,
        f"{where}f1": (figures.harmonic(precision[0], recall[0]), total[f"{where}asked"]),
        f"{where}yes_ratio": total.share(f"{where}yes", f"{where}asked"),
    }
