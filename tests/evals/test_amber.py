"""AMBER on one picture: sky, person and sea are there, dog and sun are tempting; three yes/no questions."""

from __future__ import annotations

from pathlib import Path

import pytest

from sena.errors import SenaError
from sena.evals import amber, nouns
from sena.evals.suite import SHORT
from tests.evals import make

DESCRIPTION = "A man under a sky, by the water, with a dog, a sun, a tree and a puppy."


def says(question):
    return DESCRIPTION if question.group == "generative" else "No"


def test_metrics_worked_by_hand(tmp_path: Path) -> None:
    """Nouns of the vocabulary: man, sky, water, dog, sun, tree, puppy: 7. Tree is safe. Man, sky and water stand for
    person, sky and sea: 3 of 3 covered. Dog, sun and puppy are wrong: 3 of 7; both tempting things are hit (puppy is
    another word for dog). Yes/no: truth yes no no, said no no no: "no" said 3 times, 2 rightly."""
    suite = amber.load(make.amber(tmp_path))
    found = make.values(suite, make.answered(suite, says))
    assert found["chair"] == pytest.approx(3 / 7)
    assert (found["cover"], found["hal"], found["cog"]) == (1.0, 1.0, 1.0)
    assert found["accuracy"] == found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == 1.0
    f1 = 2 * (2 / 3) / (2 / 3 + 1 + 0.0001)
    assert found["f1"] == pytest.approx(f1, abs=1e-12)
    assert found["amber_score"] == pytest.approx((100 - 300 / 7 + 100 * f1) / 2)
    assert (found["attribute/accuracy"], found["existence/accuracy"], found["relation/accuracy"]) == (0, 1, 1)


def test_a_model_that_says_yes_to_everything_has_no_f1(tmp_path: Path) -> None:
    suite = amber.load(make.amber(tmp_path))
    found = make.values(suite, make.answered(suite, lambda q: "Nothing." if q.group == "generative" else "Yes."))
    assert (found["f1"], found["recall"], found["precision"], found["chair"], found["cover"]) == (0, 0, 0, 0, 0)
    assert found["accuracy"] == pytest.approx(1 / 3)


def test_prompts_and_the_label_of_the_matcher(tmp_path: Path) -> None:
    suite = amber.load(make.amber(tmp_path))
    described, asked = suite.ask(suite.items()[0])[:2]
    assert (described.prompt, described.max_new_tokens) == ("Describe this image.", 512)
    assert asked.prompt == f"Is the sky sunny in this image?\n{SHORT}"
    assert "approximate" in suite.notes["matcher"] or "as AMBER's own" in suite.notes["matcher"]


def test_near_words_count_where_the_matcher_knows_them(tmp_path: Path) -> None:
    """A matcher that finds `tree` near `person` (0.9) makes it cover; at 0.8 exactly it would not."""
    make.amber(tmp_path)
    answer = make.answered(amber.load(tmp_path), lambda q: "tree")[0].answers[0]
    relations = {"sky": [], "person": [], "sea": [], "tree": []}
    for cosine, wrong in ((0.9, 0), (0.8, 1)):
        near = nouns.Matcher("hand-made", lambda text: text.split(), lambda a, b, c=cosine: c if b == "person" else 0.0)
        counts = amber.count([answer], amber.Lexicon(relations, frozenset(), near))
        assert (counts["wrong"], counts["covered"]) == (wrong, 1 - wrong)


def test_nouns_of_the_plain_matcher_are_words_of_the_vocabulary() -> None:
    matcher = nouns.plain({"person", "dog", "tennis"})
    assert matcher.nouns("People with dogs play Tennis.") == ["person", "dog", "tennis"]
    assert (matcher.nearness("dog", "dog"), matcher.nearness("dog", "person")) == (1.0, 0.0)


def test_a_question_without_truth_is_named(tmp_path: Path) -> None:
    make.amber(tmp_path)
    make.write_json(tmp_path / "amber/annotations.json", [{"id": 1, "type": "generative", "truth": []}])
    with pytest.raises(SenaError, match=r"annotations\.json has no entry 2"):
        amber.load(tmp_path)


def test_a_spacy_pipeline_finds_nouns_and_near_words() -> None:
    """A pipeline made by hand: tags by rule, vectors (1, 0), (0.6, 0.8) and (0, 1), whose cosines are 0.6 and 0."""
    import numpy as np
    import spacy

    pipeline = spacy.blank("en")
    ruler = pipeline.add_pipe("attribute_ruler")
    for word in ("dog", "puppy", "car"):
        ruler.add([[{"LOWER": word}]], {"POS": "NOUN", "LEMMA": word})  # type: ignore[attr-defined]
    ruler.add([[{"LOWER": "runs"}]], {"POS": "VERB", "LEMMA": "run"})  # type: ignore[attr-defined]
    for word, vector in {"dog": (1.0, 0.0), "puppy": (0.6, 0.8), "car": (0.0, 1.0)}.items():
        pipeline.vocab.set_vector(word, np.array(vector, dtype=np.float32))
    matcher = nouns.spacy_matcher(pipeline, {"dog", "car", "run"})
    assert matcher.nouns("the dog runs, a puppy and a car") == ["dog", "car"]
    assert matcher.nearness("dog", "puppy") == pytest.approx(0.6, abs=1e-6)
    assert matcher.nearness("dog", "car") == pytest.approx(0.0, abs=1e-6)
    assert matcher.name.startswith("approximate")
