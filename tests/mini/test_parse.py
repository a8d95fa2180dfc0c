"""Descriptions read back into mentions."""

import pytest

from sena.mini import language, parse, world
from sena.mini.parse import Mention


def test_a_caption_gives_its_things_in_order():
    """`at top a red plate with a fork` has 8 words; the comma and `at left a blue ball` end at word 14."""
    found = parse.parse("at top a red plate with a fork , at left a blue ball .")
    assert found.mentions == (
        Mention("plate", "red", "top", 8),
        Mention("fork", end=8),
        Mention("ball", "blue", "left", 14),
    )
    assert found.complete
    assert found.length == 15


def test_every_true_caption_is_complete_and_true():
    for index in range(300):
        scene = world.make_scene("pretrain", index)
        found = parse.parse(language.caption(scene))
        assert found.complete
        assert {mention.word for mention in found.mentions} == scene.words
        assert all(parse.is_true(mention, scene) for mention in found.mentions)


@pytest.mark.parametrize(
    ("text", "words", "complete"),
    [
        ("at top a red plate", ["plate"], False),  # no full stop
        ("AT TOP A RED PLATE.", ["plate"], True),  # case and gluing do not matter
        ("at top a red plate with .", [""], False),
        ("a dragon , at top a red plate .", ["", "plate"], False),
        ("at top a red plate . at left a blue ball .", ["plate", "ball"], False),  # two sentences
        ("at top a red plate , , at left a blue ball .", ["plate", "ball"], False),
        ("", [], False),
        (".", [], False),
    ],
)
def test_text_outside_the_grammar_is_a_wrong_mention(text, words, complete):
    found = parse.parse(text)
    assert [mention.word for mention in found.mentions] == words
    assert found.complete is complete
