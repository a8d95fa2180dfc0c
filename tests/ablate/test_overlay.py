"""What of a recipe is played in the miniature world."""

from __future__ import annotations

from pathlib import Path

import pytest

from sena.ablate.overlay import in_miniature, quirks
from sena.errors import RecipeError
from sena.mini import mini_folder
from sena.recipes.load import differing_keys
from sena.recipes.recipe import Recipe, load_recipe

BASE = str(mini_folder())


def differs(name: str) -> dict[str, object]:
    """The settings that tell a recipe from `sena`, both in the miniature."""
    ours, theirs = in_miniature("sena", BASE, 0), in_miniature(name, BASE, 0)
    found: dict[str, object] = {}
    for key in differing_keys(ours, theirs):
        group, _, rest = key.partition(".")
        found[key] = getattr(getattr(theirs, group), rest, None)
    return found


def test_sena_in_the_miniature_is_the_demo_but_for_answers_without_pictures() -> None:
    demo = load_recipe("demo", settings=["run.seed=3"])
    assert differing_keys(demo, in_miniature("sena", "mini", 3)) == ["eval.blind"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("no-check", {"check.enabled": False}),
        ("no-enhance", {"enhance.enabled": False}),
        ("blind-check", {"check.blind": True}),
        ("no-alignment", {"alignment.weight": 0.0}),
        ("alignment-only", {"dpo.weight": 0.0}),
        ("swapped", {"pair.control": "swapped"}),
        ("shuffled", {"pair.control": "shuffled"}),
        ("still", {"train.learning_rate": 0.0}),
        ("quirk:check.blind", {"check.blind": True}),
        ("stic-prompt", {"enhance.enabled": False, "corruption.kind": "none", "corruption.strength": 0.0}),
    ],
)
def test_a_recipe_brings_its_method_and_nothing_else(name: str, expected: dict[str, object]) -> None:
    assert differs(name) == expected


def test_seva_shares_the_same_pictures_in_its_one_round() -> None:
    """3 rounds of 300 become one of 900; people's questions are the miniature's own; adapters are not compared."""
    recipe = in_miniature("seva", BASE, 0)
    assert (recipe.run.rounds, recipe.run.images_per_round) == (1, 900)
    assert recipe.question.given is not None
    assert recipe.question.given.sources == ()
    assert (recipe.train.method, recipe.corruption.strength) == ("full", 500)
    assert in_miniature("seva-800", BASE, 0).corruption.strength == 800
    assert in_miniature("seva-moco", BASE, 0).corruption.kind == "moco"


def test_a_learning_rate_counts_as_a_multiple(tmp_path: Path) -> None:
    file = tmp_path / "fast.yaml"
    file.write_text("extends: sena\ntrain:\n  learning_rate: 4.0e-6\n")
    assert in_miniature(str(file), BASE, 0).train.learning_rate == pytest.approx(2 * 5e-5)


def test_every_quirk_alone_is_a_recipe() -> None:
    names = quirks()
    assert {"quirk:check.blind", "quirk:enhance.descriptions", "quirk:filters.names"} <= set(names)
    assert not any("prompt" in name for name in names)
    for name in names:
        assert isinstance(in_miniature(name, BASE, 0), Recipe)
    with pytest.raises(RecipeError, match=r"no quirk of the released code: known are .*check\.blind"):
        in_miniature("quirk:check.nothing", BASE, 0)
