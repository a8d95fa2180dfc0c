"""Every candidate is a recipe, and changes in `sena` what it says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from sena.ablate.overlay import in_miniature
from sena.mini import mini_folder
from sena.recipes.load import differing_keys
from tests.architecture.source import ROOT

BASE = str(mini_folder())


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TUNE = script("tune_plus")
NINE = str(ROOT / "scripts" / "recipes" / "rounds-9.yaml")


@pytest.mark.parametrize("name", TUNE.CANDIDATES)
def test_a_candidate_changes_what_it_says(name: str, tmp_path: Path) -> None:
    said = {f"{group}.{key}" for group, values in TUNE.CANDIDATES[name].items() for key in values}
    made = in_miniature(TUNE.write_candidate(name, tmp_path), BASE, 100)
    follows = {"run.images_per_round", *(["corruption.strength"] if "corruption.kind" in said else [])}
    found = set(differing_keys(in_miniature("sena", BASE, 100), made))
    assert found - follows == said - follows
    assert made.run.rounds * made.run.images_per_round == 900


def test_joined_candidates_have_all_changes_and_both_filters(tmp_path: Path) -> None:
    recipe = in_miniature(TUNE.write_candidate("rounds-6+like-lengths+supported+strength-700", tmp_path), BASE, 100)
    assert (recipe.run.rounds, recipe.corruption.strength) == (6, 700)
    assert recipe.filters.names == (*TUNE.USUAL, "unlike_lengths", "unsupported")
    for name in ("yes-no+supported", "supported+yes-no"):  # what one drops the other does not bring back
        recipe = in_miniature(TUNE.write_candidate(name, tmp_path), BASE, 100)
        assert recipe.filters.names == (*TUNE.YES_NO["names"], "unsupported")


@pytest.mark.parametrize(("recipe", "candidate"), [("sena-plus", "own-slower-75"), (NINE, "rounds-9")])
def test_what_was_found_is_what_is_compared(recipe: str, candidate: str, tmp_path: Path) -> None:
    assert in_miniature(recipe, BASE, 0) == in_miniature(TUNE.write_candidate(candidate, tmp_path), BASE, 0)


def test_an_unknown_candidate_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="There is no candidate luck: known are strength-700"):
        TUNE.write_candidate("ipo+luck", tmp_path)
