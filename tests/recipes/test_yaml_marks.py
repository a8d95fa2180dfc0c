"""Values and lines out of YAML text, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sena.errors import RecipeError
from sena.recipes.yaml_marks import parse, write


def test_each_dotted_path_has_its_line() -> None:
    text = "run:\n  seed: 3\n\ntrain:\n  # faster\n  learning_rate: 2e-6\nimages:\n  - path: a\n  - path: b\n"
    values, marks = parse(text, "x.yaml")
    assert values == {"run": {"seed": 3}, "train": {"learning_rate": 2e-6}, "images": [{"path": "a"}, {"path": "b"}]}
    assert marks["run.seed"] == 2
    assert marks["train"] == 4
    assert marks["train.learning_rate"] == 6
    assert marks["images.1.path"] == 9


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2e-6", 2e-6),
        ("2.0e-06", 2e-6),
        ("-1E3", -1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("010", 10),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("~", None),
        ("", None),
        ("2026-01-02", "2026-01-02"),
        ("'3'", "3"),
    ],
)
def test_scalars_are_read_as_yaml_1_2_does(text: str, value: object) -> None:
    found, _ = parse(f"key: {text}", "x.yaml")
    assert found == {"key": value}
    assert type(found["key"]) is type(value)


def test_anchors_and_merge_keys_work_and_own_keys_win() -> None:
    text = (
        "base: &b {rate: 1, beta: 2}\nfirst: {<<: *b, rate: 5}\nsecond: *b\nthird: &c {<<: *b, beta: 7}\nfourth: *c\n"
    )
    values, marks = parse(text, "x.yaml")
    assert values["first"] == {"rate": 5, "beta": 2}
    assert values["second"] == {"rate": 1, "beta": 2}
    assert values["third"] == values["fourth"] == {"rate": 1, "beta": 7}
    assert marks["first.rate"] == 2
    assert marks["first.beta"] == 1


def test_an_empty_text_is_nothing() -> None:
    assert parse("", "x.yaml") == (None, {})
    assert parse("# only words\n", "x.yaml") == (None, {})


BILLION = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "x.yaml line 3: a is set twice, first on line 1"),
        ("t:\n  a: 1\n  a: 3\n", "x.yaml line 3: t.a is set twice, first on line 2"),
        ("a: [1, 2\nb: 3\n", "x.yaml line 2: this is not valid YAML"),
        ("a:\n\tb: 1\n", "x.yaml line 2: this is not valid YAML"),
        ("a: !!python/name:os.system x\n", "x.yaml line 1"),
        ("a: !!python/object/apply:os.system ['true']\n", "x.yaml line 1"),
        ("a: !!set {b, c}\n", "x.yaml line 1: the tag"),
        ("? [a, b]\n: 1\n", "x.yaml line 1: a key must be a word"),
        ("a: &a {b: *a}\n", "x.yaml line 1: an anchor holds itself"),
        ("a: *missing\n", "x.yaml line 1: this is not valid YAML"),
        ("a: 1\n---\nb: 2\n", "x.yaml line 2"),
        ("a: \x01\n", "x.yaml is not readable YAML"),
        ("[" * 5000, "x.yaml is not readable YAML"),
        (BILLION, "x.yaml unfolds to more than 100,000 values"),
        ("a: " + "9" * 5000, "x.yaml is not readable YAML"),
    ],
)
def test_what_is_refused_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse(text, "x.yaml")
    assert said in str(caught.value)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc_", min_size=1), inner),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text("abc_", min_size=1, max_size=4), VALUES, max_size=4))
def test_what_is_written_is_read_back(values: dict[str, object]) -> None:
    found, _ = parse(write(values), "x.yaml")
    assert found == (values or {})
    assert repr(found) == repr(values)


def test_texts_that_look_like_something_else_survive() -> None:
    odd = [
        "2e-6",
        "yes",
        "no",
        "null",
        "1",
        ".5",
        "2026-01-02",
        "{question}",
        "USER: <image>\nSay.",
        "a: b",
        " x ",
        "语言",
        "~",
    ]
    assert parse(write({"odd": odd}), "x.yaml")[0] == {"odd": odd}
