"""MMBench on small tables: with turns, without, and without truth."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sena.errors import SenaError
from sena.evals import mmbench
from sena.evals.suite import LETTER
from tests.evals import make

RED, BLUE = make.base64_picture(), make.base64_picture((10, 20, 200))
ROW = {"index": 7, "question": "What is it?", "hint": "nan", "A": "dog", "B": "cat", "C": "cow", "D": "",
       "answer": "B", "category": "animals", "image": RED}  # fmt: skip
OTHER = {**ROW, "index": 8, "question": "And this?", "hint": "Look well.", "C": "", "answer": "A", "category": "other",
         "image": BLUE}  # fmt: skip


def knows(question):
    return question.truth["answer"]


def test_turns_are_made_where_the_table_has_none(tmp_path: Path) -> None:
    """Three choices make three turns; the truth (cat) moves from B to A to C."""
    make.table(tmp_path / "mmbench/dev.tsv", [ROW, OTHER])
    suite = mmbench.load(tmp_path)
    first, second = suite.items()
    assert [q.truth["answer"] for q in first.questions] == ["B", "A", "C"]
    assert suite.ask(first)[1].prompt == f"What is it?\nA. cat\nB. cow\nC. dog\n{LETTER}"
    assert suite.ask(second)[0].prompt == f"Look well.\nAnd this?\nA. dog\nB. cat\n{LETTER}"
    assert suite.open_image(second.questions[0].image or "").getpixel((0, 0)) == (10, 20, 200)


def test_a_question_counts_when_every_turn_is_right(tmp_path: Path) -> None:
    """Always saying A is right in the second turn of the one question, and in the first of the two of the other, whose
    first turn it so gets: circular 0, in the first turn 1 of 2."""
    make.table(tmp_path / "mmbench/dev.tsv", [ROW, OTHER])
    suite = mmbench.load(tmp_path)
    always_a = make.values(suite, make.answered(suite, lambda q: "A"))
    assert (always_a["accuracy"], always_a["vanilla_accuracy"], always_a["unclear"]) == (0.0, 0.5, 0.0)
    found = make.values(suite, make.answered(suite, knows))
    assert (found["accuracy"], found["animals/accuracy"], found["other/accuracy"]) == (1.0, 1.0, 1.0)


def test_turns_of_the_table_are_taken_as_they_are(tmp_path: Path) -> None:
    """Rows 7 and 1000007 are one question; the second names its picture by the first's index."""
    turned = {**ROW, "index": 1_000_007, "A": "cow", "B": "dog", "C": "cat", "answer": "C", "image": "7"}
    make.table(tmp_path / "mmbench/dev.tsv", [ROW, turned, OTHER])
    suite = mmbench.load(tmp_path)
    assert [len(item.questions) for item in suite.items()] == [2, 1]
    assert suite.notes == {"table": "dev.tsv", "turns": "as in the table"}
    found = make.values(suite, make.answered(suite, lambda q: "B" if q.truth["index"] == 7 else "A"))
    assert (found["accuracy"], found["vanilla_accuracy"]) == (0.5, 1.0)


def test_the_chinese_one_has_its_own_folder_and_suffix(tmp_path: Path) -> None:
    make.table(tmp_path / "mmbench-cn/dev.tsv", [{**ROW, "question": "这是什么？"}])
    suite = mmbench.load_cn(tmp_path)
    assert suite.ask(suite.items()[0])[0].prompt.endswith("C. cow\n请直接回答选项字母。")


def test_a_table_without_truth_gives_a_workbook(tmp_path: Path) -> None:
    """Read back with the standard library's own zip and XML readers."""
    row = {name: value for name, value in ROW.items() if name != "answer"}
    make.table(tmp_path / "mmbench/test.tsv", [{**row, "question": "Is 1 < 2 & so?"}])
    suite = mmbench.load(tmp_path)
    records = make.answered(suite, lambda q: "(C)")
    assert suite.summarise(records)["unclear"]["value"] == 0
    assert suite.submission is not None
    name, content = suite.submission(records[0].answers)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sheet = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    rows = [["".join(cell.itertext()) for cell in line] for line in sheet[0]]
    assert name == "mmbench-submission.xlsx"
    assert rows[0] == ["index", "question", "A", "B", "C", "D", "prediction"]
    assert rows[1] == ["7", "Is 1 < 2 & so?", "dog", "cat", "cow", "", "C"]


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(SenaError, match=r"mmbench holds no \*\.tsv"):
        mmbench.load(tmp_path)
    path = make.table(tmp_path / "mmbench/a.tsv", [{"index": 1, "question": "?", "image": RED}])
    with pytest.raises(SenaError, match="row 1, lacks A, B"):
        mmbench.load(tmp_path)
    make.table(path, [{**ROW, "B": ""}])
    with pytest.raises(SenaError, match="question 7 has fewer than two choices"):
        mmbench.load(tmp_path)
    make.table(path, [{**ROW, "image": "99"}])
    with pytest.raises(SenaError, match="row 1, has no picture"):
        mmbench.load(tmp_path)
    make.table(tmp_path / "mmbench/b.tsv", [ROW])
    with pytest.raises(SenaError, match=r"several files \*\.tsv \(a\.tsv, b\.tsv\)"):
        mmbench.load(tmp_path)
    (tmp_path / "mmbench/a.tsv").unlink()
    make.table(tmp_path / "mmbench/b.tsv", [{**ROW, "image": "#" * 80}])
    suite = mmbench.load(tmp_path)
    with pytest.raises(SenaError, match="no base64"):
        suite.open_image(suite.items()[0].id)
