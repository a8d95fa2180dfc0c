"""POPE on a miniature copy: two pictures, four questions, three splits."""

from __future__ import annotations

from pathlib import Path

import pytest

from sena.errors import SenaError
from sena.evals import pope
from sena.evals.suite import SHORT
from tests.evals import make


def test_items_are_pictures_with_the_questions_of_all_splits(tmp_path: Path) -> None:
    suite = pope.load(make.pope(tmp_path))
    items = suite.items()
    assert [item.id for item in items] == ["coco/val2014/a.jpg", "coco/val2014/b.jpg"]
    requests = suite.ask(items[0])
    assert [request.id for request in requests[:3]] == ["random/1", "random/2", "popular/1"]
    assert requests[0].prompt == f"Is there a dog in the image?\n{SHORT}"
    assert suite.open_image(items[0].id).size == (16, 16)


def test_metrics_worked_by_hand(tmp_path: Path) -> None:
    """A model that says Yes but for the bus, of which it says "A red one": by POPE's parser that is yes too.

    Truth yes no yes no, said yes yes yes yes: precision 2/4, recall 2/2, F1 2/3, accuracy 1/2, all yes.
    Strictly, the last answer is neither: right 2 of 4, said yes 3 of 4, precision 2/3, F1 0.8.
    """
    suite = pope.load(make.pope(tmp_path))
    found = make.values(suite, make.answered(suite, lambda q: "A red one" if "bus" in q.prompt else "Yes"))
    for split in pope.SPLITS:
        assert found[f"{split}/precision"] == 0.5
        assert found[f"{split}/recall"] == 1.0
        assert found[f"{split}/accuracy"] == 0.5
        assert found[f"{split}/f1"] == pytest.approx(2 / 3)
        assert found[f"strict_{split}/f1"] == pytest.approx(0.8)
    assert found["f1"] == pytest.approx(2 / 3)
    assert found["strict_f1"] == pytest.approx(0.8)
    assert (found["yes_ratio"], found["strict_yes_ratio"], found["strict_accuracy"]) == (1.0, 0.75, 0.5)
    assert found["unclear"] == 0.25


def test_the_headline_is_the_mean_over_splits(tmp_path: Path) -> None:
    """All right in two splits (F1 1), always no in the third (F1 0): the mean is 2/3, pooled it would be 0.8."""
    suite = pope.load(make.pope(tmp_path))
    records = make.answered(suite, lambda q: "No" if q.group == "popular" else q.truth)
    assert make.values(suite, records)["f1"] == pytest.approx(2 / 3)


def test_the_yes_ratio_is_that_of_the_answers_not_of_the_truth(tmp_path: Path) -> None:
    suite = pope.load(make.pope(tmp_path))
    assert make.values(suite, make.answered(suite, lambda q: "No"))["yes_ratio"] == 0.0


def test_records_come_back_from_json(tmp_path: Path) -> None:
    import json

    suite = pope.load(make.pope(tmp_path))
    records = make.answered(suite, lambda q: q.truth)
    again = [suite.from_json(json.loads(json.dumps(suite.to_json(record)))) for record in records]
    assert again == records


def test_two_models_are_compared_over_the_pictures_that_both_have(tmp_path: Path) -> None:
    suite = pope.load(make.pope(tmp_path))
    good, bad = make.answered(suite, lambda q: q.truth), make.answered(suite, lambda q: "Yes")
    change = suite.compare(bad, good[:1])["random/accuracy"]
    assert (change["value"], change["n"]) == (0.5, 1)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    make.pope(tmp_path)
    (tmp_path / "coco/val2014/b.jpg").unlink()
    suite = pope.load(tmp_path)
    assert len(suite.items(count=1)) == 1  # only what is asked about has to be there
    with pytest.raises(SenaError, match=r"b\.jpg is missing"):
        suite.items()
    make.write_lines(tmp_path / "pope/coco_pope_popular.json", [{"question_id": 1, "image": "a.jpg", "text": "?"}])
    with pytest.raises(SenaError, match=r"popular\.json, row 1, lacks label"):
        pope.load(tmp_path)
    (tmp_path / "pope/coco_pope_popular.json").unlink()
    with pytest.raises(SenaError, match=r"popular\.json is missing: `sena bench ls`"):
        pope.load(tmp_path)


@pytest.mark.parametrize("name", ["../../secret.png", "/etc/secret.png", "..\\secret.png"])
def test_a_picture_outside_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    make.pope(tmp_path)
    row = {"question_id": 1, "image": name, "text": "?", "label": "yes"}
    make.write_lines(tmp_path / "pope/coco_pope_random.json", [row])
    with pytest.raises(SenaError, match="outside its folder"):
        pope.load(tmp_path)
