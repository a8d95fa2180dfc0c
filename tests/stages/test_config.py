"""What a recipe may say about the stages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from sena.recipes.load import read
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
        (CorruptionConfig, {"strength": 1000}, "less than or equal to 999"),
        (CorruptionConfig, {"kind": "blur"}, "'diffusion' or 'none'"),
        (FiltersConfig, {"names": ["same"]}, "'identical'"),
    ],
)
def test_what_cannot_be_is_refused(component: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        component.model_validate(values)


def test_the_released_recipe_turns_every_quirk_on() -> None:
    """Each switch of docs/quirks.md that belongs to the stages, against the defaults."""
    ours, released = (
        StagesConfig.model_validate({key: read(name)[0][key] for key in StagesConfig.model_fields})
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
