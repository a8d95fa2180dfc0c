"""A file of questions: batched, resumed, and refused where it does not fit."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import sena
from sena.cli.main import run_program
from sena.engines.local import LocalEngine
from sena.errors import SenaError
from sena.mini import mini_folder, world
from sena.serve import answer as answering

DESCRIBE = "describe this picture . answer in one sentence ."
CUP = "is there a cup ? answer in one word ."


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.png", "sub/c.png")):
        (folder / name).write_bytes(world.render_png(world.make_scene("evaluation", number)))
    (folder / "bad.png").write_bytes(b"no picture")
    return folder


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().split("\n") if line]


ROWS = [
    {"id": 7, "image": "b.png", "question": DESCRIBE},
    {"image": "a.png", "question": CUP},
    {"id": "x", "image": "sub/c.png", "question": CUP},
    {"image": "a.png", "question": DESCRIBE},
]


def test_rows_are_answered_in_order_as_ask_answers(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    made = sena.answer("mini", images, write(tmp_path / "q.jsonl", ROWS), out)
    found = read(out)
    assert (made.answers, made.found, made.bad) == (4, 0, {})
    assert [(row["image"], row["question"]) for row in found] == [(row["image"], row["question"]) for row in ROWS]
    assert [found[0]["id"], found[2]["id"]] == [7, "x"]
    assert len({row["id"] for row in found}) == 4
    assert {row["model"] for row in found} == {str(mini_folder())}
    speaker = sena.load("mini")
    assert [row["answer"] for row in found] == [speaker.ask(images / row["image"], row["question"]) for row in ROWS]


def test_rows_that_cannot_be_asked_are_counted(images: Path, tmp_path: Path) -> None:
    bad = [
        "{",
        "[1]",
        {"image": "a.png"},
        {"image": "a.png", "question": "  "},
        {"question": CUP},
        {"id": [], "image": "a.png", "question": CUP},
        {"id": 7, "image": "a.png", "question": CUP},
        {"image": "bad.png", "question": CUP},
        {"image": "gone.png", "question": CUP},
        {"image": "../secret.png", "question": CUP},
    ]
    (tmp_path / "secret.png").write_bytes((images / "a.png").read_bytes())
    made = sena.answer("mini", images, write(tmp_path / "q.jsonl", [*ROWS, *bad]), tmp_path / "out.jsonl")
    assert made.answers == 4
    assert made.bad == {
        "not JSON": 1,
        "not an object": 1,
        "no question": 2,
        "no image": 1,
        "id is no text or number": 1,
        "id used before": 1,
        "unknown format": 1,
        "missing": 1,
        "outside its root": 1,
    }
    assert "line 5: not JSON" in made.first


def test_left_out_questions_are_counted_and_end_with_2(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = [{"image": f"{name}.png", "question": CUP} for name in ("gone", "lost")]
    arguments = ["answer", "mini", "--images", str(images), "--out", str(tmp_path / "out.jsonl"), "--questions"]
    assert run_program([*arguments, str(write(tmp_path / "good.jsonl", ROWS))]) == 0
    for _ in range(2):  # also where nothing new is to ask
        assert run_program([*arguments, str(write(tmp_path / "q.jsonl", [*ROWS, *gone]))]) == 2
        said = capsys.readouterr()
        assert "4 answers are in" in said.out
        assert "2 questions were left out:\n  2 x missing" in said.err


def test_one_picture_for_all_questions(images: Path, tmp_path: Path) -> None:
    questions = write(tmp_path / "q.jsonl", [{"question": CUP}, {"question": DESCRIBE}])
    sena.answer("mini", images / "a.png", questions, tmp_path / "out.jsonl")
    assert [row["image"] for row in read(tmp_path / "out.jsonl")] == ["a.png", "a.png"]


def test_a_second_call_asks_only_what_is_new(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of one row; the first call dies before its third."""
    asked: list[str] = []
    generate = LocalEngine.generate

    def dying(self: LocalEngine, requests: Any, open_image: Any) -> Any:
        asked.extend(request.id for request in requests)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return generate(self, requests, open_image)

    monkeypatch.setattr(answering, "CHUNK", 1)
    monkeypatch.setattr(LocalEngine, "generate", dying)
    questions, out = write(tmp_path / "q.jsonl", ROWS), tmp_path / "out.jsonl"
    with pytest.raises(KeyboardInterrupt):
        sena.answer("mini", images, questions, out)
    before = read(out)
    assert len(before) == 2
    made = sena.answer("mini", images, questions, out)
    assert (made.answers, made.found) == (4, 2)
    assert len(asked) == 5  # the row that the first call died on is the only one asked twice
    assert read(out)[:2] == before
    monkeypatch.setattr(LocalEngine, "generate", None)
    assert sena.answer("mini", images, questions, out).answers == 4  # nothing to do: no model is needed
    undisturbed = tmp_path / "undisturbed.jsonl"
    monkeypatch.undo()
    sena.answer("mini", images, questions, undisturbed)
    assert read(undisturbed) == read(out)


def test_what_does_not_fit_the_file_is_refused(images: Path, tmp_path: Path, tiny_folder: Path) -> None:
    questions, out = write(tmp_path / "q.jsonl", ROWS[:2]), tmp_path / "out.jsonl"
    sena.answer("mini", images, questions, out)
    kept = out.read_bytes()
    with pytest.raises(SenaError, match=r"out.jsonl holds answers of .*base: choose another --out"):
        sena.answer(str(tiny_folder), images, questions, out)
    with pytest.raises(SenaError, match=r"answers a question that is not in .*other.jsonl: choose another --out"):
        sena.answer("mini", images, write(tmp_path / "other.jsonl", ROWS[2:]), out)
    with pytest.raises(SenaError, match="line 1 is no answer of sena"):
        sena.answer("mini", images, questions, write(tmp_path / "letter.jsonl", [{"dear": "reader"}]))
    with pytest.raises(SenaError, match=r"No row of .* could be asked .*gone.png"):
        sena.answer("mini", images, write(tmp_path / "q2", [{"image": "gone.png", "question": "?"}]), tmp_path / "o2")
    with pytest.raises(SenaError, match="There is no folder"):
        sena.answer("mini", tmp_path / "nowhere", questions, tmp_path / "o3")
    assert out.read_bytes() == kept
    spelled = os.path.relpath(mini_folder())
    assert sena.answer(spelled, images, questions, out).found == 2  # the same model by another name
