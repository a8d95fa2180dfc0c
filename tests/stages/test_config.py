"""What a recipe may say about the stages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from sena.errors import RecipeError
from sena.images.kinds import KINDS
from sena.recipes.load import read
from sena.recipes.recipe import load_recipe
from sena.stages import StagesConfig
from sena.stages.config import (
    AnswerConfig,
    CheckConfig,
    CorruptionConfig,
    DescribeConfig,
    EnhanceConfig,
    FilterName,
    FiltersConfig,
    QuestionConfig,
)

COMPONENTS = (
    QuestionConfig,
    CheckConfig,
    DescribeConfig,
    AnswerConfig,
    EnhanceConfig,
    CorruptionConfig,
    FiltersConfig,
    StagesConfig,
)


def test_every_setting_is_described() -> None:
    for component in COMPONENTS:
        assert component.__doc__
        assert [name for name, field in component.model_fields.items() if not field.description] == []


def test_one_prompt_may_be_written_without_a_list() -> None:
    assert QuestionConfig.model_validate({"prompts": "Ask."}).prompts == ("Ask.",)


@pytest.mark.parametrize(
    ("component", "values", "message"),
    [
        (QuestionConfig, {"prompts": []}, "at least 1"),
        (QuestionConfig, {"prompts": [" ? "]}, "must hold a word"),
        (QuestionConfig, {"prompts": "Ask.", "questions_per_image": 0}, "greater than or equal to 1"),
        (CheckConfig, {"prompt": "Is it so?"}, r"must hold \{question\}"),
        (
            CheckConfig,
            {"prompt": "{question} {answer}"},
            r"\{answer\} is no placeholder of this prompt; it has question",
        ),
        (CheckConfig, {"prompt": "{question}", "max_regenerations": -1}, "greater than or equal to 0"),
        (CheckConfig, {"prompt": "{question}", "label": ":"}, "must hold a word"),
        (EnhanceConfig, {"prompt": "{question} {answer}"}, r"must hold \{description\}"),
        (
            EnhanceConfig,
            {"prompt": "{description}{question}{answer}", "yes_prompt": "{description}"},
            "is no placeholder",
        ),
        (CorruptionConfig, {"strength": 1000}, "1000 is no strength of diffusion, which takes whole numbers, 0 to 999"),
        (CorruptionConfig, {"strength": 599.5}, "599.5 is no strength of diffusion"),
        (CorruptionConfig, {"strength": float("nan")}, "nan is no strength of diffusion"),
        (CorruptionConfig, {"kind": "blur", "strength": 600}, r"which takes 0 to 20 \(.*\): .* null for the usual 4"),
        (CorruptionConfig, {"kind": "no_image", "strength": 1}, "no_image has no strength, so 1 means nothing"),
        (CorruptionConfig, {"kind": "fog"}, "'diffusion', 'none', 'blur'"),
        (FiltersConfig, {"names": ["same"]}, "'identical'"),
    ],
)
def test_what_cannot_be_is_refused(component: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        component.model_validate(values)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_brings_its_usual_strength(kind: str) -> None:
    """Unset, null and written out are one and the same, so that a finished recipe reads back as it was."""
    config = CorruptionConfig.model_validate({"kind": kind})
    assert config.strength == KINDS[kind].usual
    assert config == CorruptionConfig.model_validate({"kind": kind, "strength": None})
    assert config == CorruptionConfig.model_validate(config.model_dump())


def test_another_kind_laid_over_a_recipe_takes_its_own_strength_or_is_refused(tmp_path: Path) -> None:
    """The shipped recipe leaves the strength to the kind. One that names a strength of its kind has to name another."""
    assert load_recipe("sena", images="mini").corruption == CorruptionConfig(kind="diffusion", strength=600)
    over = load_recipe("sena", images="mini", settings=["corruption.kind=mask"])
    assert over.corruption == CorruptionConfig(kind="mask", strength=0.5)
    lower = tmp_path / "mine.yaml"
    lower.write_text("extends: sena\ncorruption:\n  strength: 700\n")
    with pytest.raises(RecipeError, match=r"mine\.yaml line 3: corruption\.strength is not possible: 700 .* of mask"):
        load_recipe(lower, images="mini", settings=["corruption.kind=mask"])
    mended = load_recipe(lower, images="mini", settings=["corruption={kind: mask, strength: null}"])
    assert mended.corruption.strength == 0.5


def test_a_kind_that_nobody_knows_is_one_fault() -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("sena", images="mini", settings=["corruption.kind=fog"])
    assert str(caught.value).count("\n") == 0


def test_the_released_recipe_turns_every_quirk_on() -> None:
    """Each switch of docs/quirks.md that belongs to the stages, against the defaults."""
    ours, released = (
        StagesConfig.model_validate(
            {key: each for key, each in read(name)[0].items() if key in StagesConfig.model_fields}
        )
        for name in ("sena", "sena-as-released")
    )
    switches = {
        "question": ["keep"],
        "check": ["blind", "max_regenerations", "on_unsettled", "keep", "labels", "banned"],
        "enhance": ["with_suffix", "descriptions", "yes_prompt", "labels"],
        "corruption": ["draws"],
        "filters": ["names", "banned", "newlines"],
    }
    for component, names in switches.items():
        mine, theirs = getattr(ours, component), getattr(released, component)
        for name in names:
            assert getattr(mine, name) == type(mine).model_fields[name].default
            assert getattr(theirs, name) != getattr(mine, name), f"{component}.{name}"


def test_the_page_of_quirks_names_what_there_is() -> None:
    """Every switch and filter in the first column of docs/quirks.md exists; the other rooms' two are checked there."""
    page = Path(__file__).parents[2] / "docs" / "quirks.md"
    rows = [line.split("|")[1] for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    named = [word for row in rows for word in re.findall(r"`([a-z_.]+)`", row)]
    switches = [word.split(".") for word in named if "." in word and not word.startswith(("model.", "train."))]
    assert len(switches) >= 14
    for component, name in switches:
        assert name in getattr(StagesConfig.model_fields[component].annotation, "model_fields", {})
    assert {word for word in named if "." not in word} <= set(get_args(FilterName))
