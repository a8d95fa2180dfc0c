"""CHAIR on two pictures: a dog and a person; a cup on a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from sena.errors import SenaError
from sena.evals import chair, words
from sena.evals.suite import Question
from sena.records import Reply
from tests.evals import make

OFFICIAL_STYLE = "person, man\ndog, puppy\ncup, mug\ndining table, table\nbus\ntie\ntoilet\nchair, seat\nbird\n"


def says(first: str, second: str, cut: bool = False):
    """Both limits say the same; `cut` marks the short ones as cut at their limit."""

    def say(question: Question) -> Reply:
        text = first if question.image == "coco/val2014/one.jpg" else second
        return Reply(question.id, text, finished=not (cut and question.group == "64"))

    return say


def test_truth_is_labels_and_captions_and_every_picture_is_asked_twice(tmp_path: Path) -> None:
    suite = chair.load(make.coco(tmp_path))
    truths = {item.id: item.questions[0].truth for item in suite.items()}
    assert truths == {"coco/val2014/one.jpg": ["dog", "person"], "coco/val2014/two.jpg": ["cup", "dining table"]}
    assert [request.max_new_tokens for request in suite.ask(suite.items()[0])] == [64, 512]
    assert suite.notes == {
        "synonyms": "sena's own list of 80 objects",
        "pictures": "2 of val2014, by the hash of their names",
    }


def test_metrics_worked_by_hand(tmp_path: Path) -> None:
    """First: man, dog, bus, bus: 4 named, 2 wrong (each mention counts). Second: a mug: 1 named, none wrong.

    CHAIR_i 2/5, CHAIR_s 1/2, recall (2 + 1) / (2 + 2), length (10 + 3) / 2.
    """
    suite = chair.load(make.coco(tmp_path))
    say = says("A man with a dog. A bus, and another bus.", "A red mug.")
    found = make.values(suite, make.answered(suite, say))
    for limit in (64, 512):
        assert found[f"chair_i_{limit}"] == pytest.approx(0.4)
        assert found[f"chair_s_{limit}"] == 0.5
        assert found[f"recall_{limit}"] == 0.75
        assert found[f"length_{limit}"] == 6.5


def test_a_cut_last_sentence_is_dropped(tmp_path: Path) -> None:
    """With 64 tokens "... A bus is" was cut, so its bus does not count: 1 named, 0 wrong; with 512 it does: 2 and 1."""
    suite = chair.load(make.coco(tmp_path))
    found = make.values(suite, make.answered(suite, says("A dog. A bus is", "A cup.", cut=True)))
    assert (found["chair_i_64"], found["chair_i_512"]) == (0.0, pytest.approx(1 / 3))


@pytest.mark.parametrize(
    ("text", "finished", "kept"),
    [
        ("A dog. A bus", False, "A dog."),
        ("A dog. A bus.", False, "A dog. A bus."),  # cut just behind a sentence
        ("A dog and a bus", False, "A dog and a bus"),  # the only sentence
        ("A dog. A bus", True, "A dog. A bus"),
    ],
)
def test_whole_sentences(text: str, finished: bool, kept: str) -> None:
    assert chair.whole_sentences(text, finished) == kept


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a baby bird and a bow tie", ["bird", "tie"]),
        ("the home plate", []),
        ("a toilet with its seat up", ["toilet"]),
        ("a seat", ["chair"]),
        ("two tables", ["dining table", ]),
    ],
)  # fmt: skip
def test_the_special_cases_of_coco(tmp_path: Path, text: str, found: list[str]) -> None:
    path = tmp_path / "synonyms.txt"
    path.write_text(OFFICIAL_STYLE)
    assert chair.named(text, chair.vocabulary(words.read_synonyms(path))) == found


def test_the_users_own_lists_are_taken_and_named(tmp_path: Path) -> None:
    make.coco(tmp_path)
    (tmp_path / "chair").mkdir()
    (tmp_path / "chair/synonyms.txt").write_text(OFFICIAL_STYLE)
    (tmp_path / "chair/images.txt").write_text("two.jpg\n")
    suite = chair.load(tmp_path)
    assert [item.id for item in suite.items()] == ["coco/val2014/two.jpg"]
    assert suite.notes["synonyms"].endswith("chair/synonyms.txt")
    assert suite.notes["pictures"].startswith("1 of ")


def test_mistakes_are_named(tmp_path: Path) -> None:
    make.coco(tmp_path)
    (tmp_path / "chair").mkdir()
    (tmp_path / "chair/images.txt").write_text("three.jpg\n")
    with pytest.raises(SenaError, match=r"images\.txt names three\.jpg"):
        chair.load(tmp_path)
    (tmp_path / "chair/images.txt").unlink()
    (tmp_path / "chair/synonyms.txt").write_text("person\ndog\n")
    with pytest.raises(SenaError, match="no line for cup"):
        chair.load(tmp_path)
    (tmp_path / "chair/synonyms.txt").unlink()
    make.write_json(tmp_path / "coco/annotations/captions_val2014.json", {"info": 1})
    with pytest.raises(SenaError, match=r"captions_val2014\.json has no annotations"):
        chair.load(tmp_path)
