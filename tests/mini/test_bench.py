"""Every metric of the benchmark on cases worked by hand."""

import json

import pytest

from sena.mini import figures, language, world
from sena.mini.bench import SPLITS, MiniBench, Record, plain
from sena.mini.world import Scene, Thing
from sena.records import Reply

SCENE = Scene("tuning", 0, (Thing("plate", "red", 1), Thing("tree", "blue", 3, "bird")))


def record(number: int, mentions=(), answers=(), **changes) -> Record:
    base = {"covered": 0, "truths": 3, "colours_right": 0, "colours": 0, "parsed": True, "length": 10}
    return Record(f"tuning/{number:06d}", "text", tuple(mentions), answers=tuple(answers), **(base | changes))


def described(text: str) -> Record:
    bench = MiniBench()
    item = bench.items("tuning", 1)[0]
    item = type(item)(item.id, SCENE, item.describe, ())
    return bench.take(item, [Reply(f"{item.id}/describe", text)])


def test_a_description_is_counted():
    """The scene holds plate, tree and bird. Said: plate, fork (not there), tree as green. 2 of 3 covered, 1 wrong."""
    found = described("at top a red plate with a fork , at left a green tree .")
    assert [(word, true) for word, true, _ in found.mentions] == [("plate", True), ("fork", False), ("tree", True)]
    assert (found.covered, found.truths, found.colours_right, found.colours) == (2, 3, 1, 2)
    assert found.parsed


def test_metrics_of_two_descriptions():
    """3 mentions with 1 wrong, and 1 mention with none wrong: CHAIR_i 1/4, CHAIR_s 1/2, coverage (2+1)/(3+3)."""
    one = record(1, [("plate", True, 5), ("fork", False, 8), ("tree", True, 14)], covered=2, colours_right=1, colours=2)
    two = record(2, [("ball", True, 5)], covered=1, colours_right=1, colours=1, length=6, parsed=False)
    found = {name: value["value"] for name, value in figures.summarise([one, two]).items()}
    assert found["chair_i"] == 0.25
    assert found["chair_s"] == 0.5
    assert found["coverage"] == 0.5
    assert found["attribute"] == pytest.approx(2 / 3)
    assert found["parsed"] == 0.5
    assert found["length"] == 8.0
    assert (found["wrong_mentions"], found["true_mentions"]) == (0.5, 1.5)


def test_answers_are_graded_by_split():
    """Random: 1 of 2 right. Adversarial: 0 of 1. vqa: 1 of 1. Yes was said to 2 of 3 yes/no questions."""
    answers = [
        ("random", "there", "ball", "no", "yes"),
        ("random", "there", "plate", "yes", "yes"),
        ("adversarial", "there", "bird", "yes", "maybe"),
        ("vqa", "colour", "plate", "red", "red"),
    ]
    found = {name: value["value"] for name, value in figures.summarise([record(1, answers=answers)]).items()}
    assert (found["pope_random"], found["pope_adversarial"], found["vqa"]) == (0.5, 0.0, 1.0)
    assert found["yes_ratio"] == pytest.approx(2 / 3)


def test_equal_length_cuts_both_to_the_shorter():
    """Cut to 8 words the long one keeps plate and fork (1 of 2 wrong); the short one has its plate alone (0 of 1)."""
    long = record(1, [("plate", True, 8), ("fork", False, 8), ("cup", False, 14)], length=15)
    short = record(1, [("plate", True, 5)], length=8)
    before, after = figures.equal_length([long], [short])
    assert (before["value"], after["value"]) == (0.5, 0.0)
    assert figures.compare([long], [short])["chair_i_equal"]["value"] == -0.5


def test_differences_are_paired_by_image_and_a_model_equals_itself():
    one, two = record(1, [("plate", True, 5)]), record(2, [("fork", False, 5)])
    same = figures.compare([one, two], [two, one])
    assert all(value["value"] == value["low"] == value["high"] == 0.0 for value in same.values())
    assert same["chair_i"]["n"] == 2


def test_intervals_hold_the_value_and_are_the_same_every_time():
    rows = [record(number, [("plate", number % 3 > 0, 5)]) for number in range(60)]
    found = figures.summarise(rows)["chair_i"]
    assert found == figures.summarise(rows)["chair_i"]
    assert found["low"] < found["value"] < found["high"]
    assert found["value"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("reply", ["yes", "no"])
def test_an_answerer_who_never_looks_scores_one_half(reply):
    bench = MiniBench()
    rows = [
        bench.take(item, [Reply(request.id, reply) for request in bench.ask(item)])
        for item in bench.items("tuning", 120)
    ]
    found = bench.summarise(rows)
    for split in SPLITS:
        assert found[f"pope_{split}"]["value"] == 0.5
        assert found[f"pope_{split}"]["n"] >= 60


def test_an_answerer_who_goes_by_the_word_scores_one_half():
    bench = MiniBench()
    rows = []
    for item in bench.items("tuning", 120):
        asked = [language.true_answer(item.scene, found.sort, found.subject) for _, found in item.questions]
        words = [found.subject for _, found in item.questions]
        said = ["yes" if word < "f" else "no" for word in words]
        assert len(asked) == len(said)
        rows.append(bench.take(item, [Reply(f"{item.id}/{place}", text) for place, text in enumerate(said)]))
    assert all(bench.summarise(rows)[f"pope_{split}"]["value"] == 0.5 for split in SPLITS)


def test_a_perfect_answerer_scores_one():
    bench = MiniBench()
    rows = []
    for item in bench.items("tuning", 40):
        replies = [Reply(f"{item.id}/{place}", found.answer) for place, (_, found) in enumerate(item.questions)]
        rows.append(bench.take(item, [Reply(f"{item.id}/describe", language.caption(item.scene)), *replies]))
    found = {name: value["value"] for name, value in bench.summarise(rows).items()}
    assert found["chair_i"] == found["chair_s"] == found["wrong_mentions"] == 0.0
    for name in ("coverage", "attribute", "pope_random", "pope_popular", "pope_adversarial", "vqa", "parsed"):
        assert found[name] == 1.0, name


def test_adversarial_questions_are_about_companions_of_hosts_in_the_picture():
    for item in MiniBench().items("tuning", 60):
        for split, found in item.questions:
            if split == "adversarial":
                host = next(kind for kind, word in world.COMPANIONS.items() if word == found.subject)
                assert host in item.scene.words


def test_blind_runs_ask_the_same_questions_without_the_picture():
    item = MiniBench().items("tuning", 3)[2]
    seen, blind, grey = MiniBench().ask(item), MiniBench(blind="none").ask(item), MiniBench(blind="grey").ask(item)
    assert [request.prompt for request in seen[1:]] == [request.prompt for request in blind]
    assert {request.image for request in blind} == {None}
    assert MiniBench().open_image(str(grey[0].image)).size == (48, 48)


def test_records_survive_json():
    rows = [record(1, [("plate", True, 5)], [("vqa", "colour", "plate", "red", "red")])]
    bench = MiniBench()
    assert [bench.from_json(json.loads(json.dumps(bench.to_json(row)))) for row in rows] == rows


def test_answers_are_read_without_marks_and_case():
    assert plain("Yes.") == "yes"
    assert plain("top-left") == "top-left"
