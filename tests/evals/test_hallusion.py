"""HallusionBench: two sets, worked by hand."""

from __future__ import annotations

from pathlib import Path

from sena.evals import hallusion
from tests.evals import make


def row(category: str, figure: int, question: int, answer: int, visual: int) -> dict:
    name = None if category == "VS" and figure == 0 else f"./hallusion_bench/{category}/{figure}.png"
    return {"category": category, "subcategory": "math", "visual_input": str(visual), "set_id": "0",
            "figure_id": str(figure), "question_id": str(question), "question": f"{category} {figure} {question}?",
            "gt_answer": str(answer), "filename": name}  # fmt: skip


ROWS = [
    row("VD", 0, 0, 1, 1),
    row("VD", 0, 1, 0, 1),
    row("VD", 1, 0, 0, 2),
    row("VD", 1, 1, 1, 2),
    row("VS", 0, 0, 1, 0),
    row("VS", 1, 0, 0, 2),
]


def load(root: Path):
    make.write_json(root / "hallusionbench/HallusionBench.json", ROWS)
    for category in ("VD", "VS"):
        for figure in (0, 1):
            make.picture(root / f"hallusionbench/hallusion_bench/{category}/{figure}.png")
    return hallusion.load(root)


def test_sets_are_resampled_together_and_some_questions_have_no_picture(tmp_path: Path) -> None:
    suite = load(tmp_path)
    assert [(item.id, len(item.questions)) for item in suite.items()] == [("VD/math/0", 4), ("VS/math/0", 2)]
    assert [request.image for request in suite.ask(suite.items()[1])] == [
        None,
        "hallusionbench/hallusion_bench/VS/1.png",
    ]


def test_metrics_worked_by_hand(tmp_path: Path) -> None:
    """Wrong: VD figure 1 question 1 alone; of VS figure 0 it says that it does not know, which is right there.

    Questions 5 of 6. Pairs: VD 0 right on both figures, VD 1 not, VS 0 right: 2 of 3. Figures: VD 0 whole, VD 1 not,
    VS 1 whole (VS 0 is none): 2 of 3. Easy pairs (original): VD 0, VD 1, VS 0: 3 of 3. Hard: 2 of 3.
    """
    suite = load(tmp_path)

    def say(question):
        if question.id == "VS/math/0/0/0":
            return "I cannot tell."
        return "No" if question.id == "VD/math/0/1/1" else question.truth["answer"].title()

    found = make.values(suite, make.answered(suite, say))
    assert found["accuracy"] == 5 / 6
    assert found["pair_accuracy"] == found["figure_accuracy"] == found["hard_accuracy"] == 2 / 3
    assert found["easy_accuracy"] == 1.0
    assert (found["VD/pair_accuracy"], found["VS/pair_accuracy"]) == (0.5, 1.0)


def test_not_knowing_is_wrong_where_there_is_a_picture(tmp_path: Path) -> None:
    """Only the one question without a picture is right: 1 of 6."""
    suite = load(tmp_path)
    assert make.values(suite, make.answered(suite, lambda q: "Unsure"))["accuracy"] == 1 / 6
