"""MME on miniature folders of its 14 kinds, in both of their layouts."""

from __future__ import annotations

from pathlib import Path

import pytest

from sena.errors import SenaError
from sena.evals import mme
from sena.evals.suite import SHORT
from tests.evals import make


def test_both_layouts_are_read_and_the_prompt_is_llavas(tmp_path: Path) -> None:
    suite = mme.load(make.mme(tmp_path))
    items = {item.id: item for item in suite.items()}
    assert {"mme/existence/0001.jpg", "mme/existence/0002.jpg", "mme/posters/images/0001.png"} < items.keys()
    assert len(items) == 15
    first = suite.ask(items["mme/existence/0001.jpg"])[0]
    assert first.prompt == f"Is it 0001?\n{SHORT}"


def test_points_worked_by_hand(tmp_path: Path) -> None:
    """A model that is always right but says yes to everything about the second picture of `existence`:
    3 of 4 questions and 1 of 2 pictures: 100 x (0.75 + 0.5) = 125. Nine other kinds of perception and the four of
    cognition have 200 each."""
    suite = mme.load(make.mme(tmp_path))
    records = make.answered(suite, lambda q: "Yes" if "0002" in q.prompt else q.truth)
    found = make.values(suite, records)
    assert found["existence/points"] == pytest.approx(125)
    assert found["perception"] == pytest.approx(9 * 200 + 125)
    assert found["cognition"] == pytest.approx(800)


def test_a_model_that_always_says_yes_has_half_the_questions_and_no_picture(tmp_path: Path) -> None:
    suite = mme.load(make.mme(tmp_path))
    found = make.values(suite, make.answered(suite, lambda q: "Yes"))
    assert (found["perception"], found["cognition"], found["unclear"]) == (500, 200, 0)


def test_mistakes_are_named(tmp_path: Path) -> None:
    make.mme(tmp_path)
    path = tmp_path / "mme/color/0001.txt"
    path.write_text("Is it red?\tMaybe\n")
    with pytest.raises(SenaError, match=r"color/0001\.txt, line 1, is no question"):
        mme.load(tmp_path)
    path.write_text("Is it red?\tYes\n")
    (tmp_path / "mme/color/0001.jpg").unlink()
    with pytest.raises(SenaError, match=r"color/0001\.jpg \(or \.png\) that 0001\.txt asks about is missing"):
        mme.load(tmp_path)
    path.unlink()
    with pytest.raises(SenaError, match="color holds no questions"):
        mme.load(tmp_path)
