"""The recipes that come with the package, and the messages of the real recipe model."""

from __future__ import annotations

from pathlib import Path

import pytest

from sena.errors import RecipeError
from sena.recipes import load
from sena.recipes.faults import valid_keys
from sena.recipes.recipe import Recipe, load_recipe


@pytest.mark.parametrize("name", load.shipped())
def test_a_shipped_recipe_is_valid_and_comes_back_from_a_run_folder(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name, model="mini", images="mini")
    (tmp_path / "recipe.yaml").write_text(load.dump(recipe))
    again = load.load(Recipe, tmp_path / "recipe.yaml")[0]
    assert again == recipe
    assert load.differing_keys(recipe, again) == []


@pytest.mark.parametrize("name", load.shipped())
def test_a_shipped_recipe_says_what_it_is(name: str) -> None:
    assert len(load.about(name)) > 20


def test_the_four_recipes_are_there() -> None:
    assert {"demo", "sena", "sena-7b", "sena-as-released"} <= set(load.shipped())


def test_the_flags_of_the_command_line_name_themselves(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("demo", model="mini", images="mini", rounds=0, limit=-1, settings=["train.learning_rate=-1"])
    assert str(caught.value).splitlines() == [
        "--limit -1: run.images_per_round must be 1 or more, not -1",
        "--rounds 0: run.rounds must be 1 or more, not 0",
        "--set train.learning_rate=-1: train.learning_rate must be 0 or more, not -1",
    ]


@pytest.mark.parametrize("key", [key for key in valid_keys(Recipe) if "." in key])
def test_a_setting_with_a_letter_missing_is_recognised(key: str, tmp_path: Path) -> None:
    """Every known key, its second letter left out, is not silently taken, and the right one is suggested."""
    group, _, last = key.rpartition(".")
    wrong = f"{group}.{last[:1]}{last[2:]}"
    if len(last) < 4 or ".0." in key:
        return
    with pytest.raises(RecipeError, match="is not a setting; did you mean") as caught:
        load_recipe("demo", model="mini", images="mini", settings=[f"{wrong}=1"])
    assert f"did you mean {key}?" in str(caught.value)
