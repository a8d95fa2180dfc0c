"""MMBench and MMBench-CN: choices in turned order, and a question counts only when every turn is right.

(Liu et al. 2023, arXiv 2307.06281.) The tables hold their pictures. Tables whose rows are already turned (the same
`index` but for millions) are taken as they are; of others every turn is made here. A table without `answer` gets a
submission file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sena.errors import SenaError
from sena.evals import figures, reading, replies
from sena.evals.figures import Measured, Totals
from sena.evals.suite import LETTER, About, Answer, Question, Suite, grouped, options
from sena.evals.table import workbook

if TYPE_CHECKING:
    from PIL import Image

LETTER_CN = "请直接回答选项字母。"
LETTERS = "ABCDEFGH"
TURN = 1_000_000  # rows whose index differs by multiples of this are turns of one question
EMPTY = ("", "nan", "none")


def _about(name: str, title: str, suffix: str) -> About:
    return About(
        name=name,
        title=title,
        files=((f"{name}/*.tsv", "one table, the dev or the test split, pictures included"),),
        source="github.com/open-compass/MMBench",
        prompt=f"hint and question, the choices as lines 'A. ...', a line break, {suffix!r}",
        metric="accuracy: questions right in every turn of their choices; vanilla_accuracy: right in the first turn; "
        "unclear: answers in which no choice was found, counted as wrong (the authors let GPT look for one). Where the "
        "truth is hidden: a submission file",
    )


ABOUT = _about("mmbench", "MMBench: choices in turned order, English", LETTER)
ABOUT_CN = _about("mmbench-cn", "MMBench-CN: the same in Chinese", LETTER_CN)


def load(root: Path) -> Suite:
    return _load(root, ABOUT, LETTER)


def load_cn(root: Path) -> Suite:
    return _load(root, ABOUT_CN, LETTER_CN)


def _load(root: Path, about: About, suffix: str) -> Suite:
    """Raises SenaError when there is no table or several, for missing columns, and for a broken picture."""
    path = reading.one_of(root / about.name, "*.tsv")
    pictures: dict[str, str] = {}
    rows = reading.checked(_rows(path, pictures), ("index", "question", "image", "A", "B"), path)
    turned = any(int(row["index"]) >= TURN for row in rows)
    questions = [each for row in rows for each in _questions(row, suffix, turned)]
    hidden = all(row.get("answer", "").strip().lower() in EMPTY for row in rows)

    def open_image(name: str) -> Image.Image:
        return reading.decoded(_bytes(pictures[name], path), f"picture {name} of {path}")

    return Suite(
        about,
        grouped(questions),
        count,
        measure_hidden if hidden else measure,
        open_image,
        notes={"table": path.name, "turns": "as in the table" if turned else "made by sena"},
        submission=(lambda answers: submission(answers, about.name)) if hidden else None,
    )


def _rows(path: Path, pictures: dict[str, str]) -> list[dict[str, Any]]:
    """The table without its pictures, which go into `pictures` by hash; a short `image` names the row that has it."""
    of_row: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    for row in reading.read_table(path):
        if "image" in row and len(row["image"]) > 64:
            name = hashlib.sha256(row["image"].encode()).hexdigest()[:16]
            pictures[name] = row["image"]
            of_row[row.get("index", "")] = name
            row["image"] = name
        if not row.get("index", "").isdigit():
            raise SenaError(f"{path}, row {len(rows) + 1}, has no whole number as index: is this MMBench's table?")
        rows.append(row)
    for number, row in enumerate(rows, 1):
        row["image"] = of_row.get(row.get("image", ""), row.get("image", ""))
        if row["image"] not in pictures and "image" in row:
            raise SenaError(f"{path}, row {number}, has no picture: fetch the table again")
    return rows


def _bytes(picture: str, path: Path) -> bytes:
    try:
        return base64.b64decode(picture, validate=True)
    except binascii.Error as error:
        raise SenaError(f"{path} holds a picture that is no base64 text: fetch the table again") from error


def _questions(row: dict[str, str], suffix: str, turned: bool) -> list[Question]:
    """One row as it is, or, where the table has no turns, once for every turn of its choices."""
    choices = []
    for letter in LETTERS[:4]:
        if row.get(letter, "").strip().lower() in EMPTY:
            break
        choices.append(row[letter])
    if len(choices) < 2:
        raise SenaError(f"MMBench's question {row['index']} has fewer than two choices: fetch the table again")
    hint = row.get("hint", "")
    text = row["question"] if hint.strip().lower() in EMPTY else f"{hint}\n{row['question']}"
    index, answer = int(row["index"]), row.get("answer", "").strip()
    made = []
    for turn in range(1 if turned else len(choices)):
        shown = choices[turn:] + choices[:turn]
        right = LETTERS[(LETTERS.index(answer) - turn) % len(choices)] if answer in tuple(LETTERS) else answer
        truth = {"index": index + turn * TURN, "choices": shown, "answer": right, "question": row["question"]}
        prompt = f"{options(text, shown)}\n{suffix}"
        made.append(Question(str(truth["index"]), prompt, row["image"], truth, row.get("category", "")))
    return made


def count(answers: Sequence[Answer]) -> dict[str, float]:
    """Of one picture: questions, those right in every turn, those right in the first, and unclear answers."""
    questions: dict[int, list[Answer]] = {}
    for answer in answers:
        questions.setdefault(answer.truth["index"] % TURN, []).append(answer)
    marks, counts = [], Counter[str]()
    for turns in questions.values():
        said = [replies.letter(turn.text, turn.truth["choices"]) for turn in turns]
        right = [letter == turn.truth["answer"] for letter, turn in zip(said, turns, strict=True)]
        first = min(range(len(turns)), key=lambda place: turns[place].truth["index"])
        marks.append((turns[0].group, float(all(right))))
        counts.update({"first": right[first], "answers": len(turns), "unclear": said.count("")})
    return {**figures.tally(marks), **{name: float(number) for name, number in counts.items()}}


def measure(total: Totals) -> dict[str, Measured]:
    found = figures.accuracies(total)
    vanilla, unclear = total.share("first", "asked"), total.share("unclear", "answers")
    return {"accuracy": found.pop("accuracy"), "vanilla_accuracy": vanilla, "unclear": unclear, **found}


def measure_hidden(total: Totals) -> dict[str, Measured]:
    return {"unclear": total.share("unclear", "answers")}


def submission(answers: Sequence[Answer], name: str) -> tuple[str, bytes]:
    """The workbook that the server takes: the columns of the table, and the letter that was chosen."""
    head = ["index", "question", *LETTERS[:4], "prediction"]
    rows = []
    for answer in answers:
        truth = answer.truth
        choices = [*truth["choices"], "", "", "", ""][:4]
        letter = replies.letter(answer.text, truth["choices"])
        rows.append([truth["index"], truth["question"], *choices, letter or answer.text])
    return f"{name}-submission.xlsx", workbook([head, *rows])
