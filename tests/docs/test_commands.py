"""What README and docs tell people to type exists: verbs, flags, recipe keys, links to files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from make_reference import keys, verbs  # pyright: ignore[reportMissingImports]
from sena.cli import app
from sena.recipes import load
from sena.recipes.recipe import Recipe
from tests.architecture.source import ROOT
from tests.docs.page import DOCS

PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
NO_COMMANDS = {"sena judge prompt v1"}  # looks like one
KEY = re.compile(r"--set[ \n]+\[?([a-z_]+(?:\.[a-z_]+)+)=")
FLAGS: dict[str, set[str]] = {
    name: {each for parameter in command.params for each in parameter.opts}
    for name, command in verbs(typer.main.get_command(app), "sena")
}
KEYS = {re.sub(r"\[\]", "", path) for group, field in Recipe.model_fields.items() for path, _ in keys(group, field)}


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def commands(text: str) -> list[str]:
    """`sena ...` at the start of a line of a fenced block, or in an inline code span."""
    fences = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in fences for line in block.replace("\\\n", " ").splitlines()]
    found = [line.partition(" #")[0] for line in lines] + [
        " ".join(each.split()) for each in re.findall(r"`([^`]+)`", prose)
    ]
    return [each for each in found if re.match(r"sena [a-z]", each) and each not in NO_COMMANDS]


def verb_of(command: str) -> str | None:
    words = command.split()
    for length in (3, 2):
        if " ".join(words[:length]) in FLAGS:
            return " ".join(words[:length])
    return None


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_have_known_verbs_and_flags(page: Path) -> None:
    groups = {name.rpartition(" ")[0] for name in FLAGS if name.count(" ") == 2}
    for typed in commands(page.read_text()):
        verb = verb_of(typed)
        if verb is None:
            assert " ".join(typed.split()[:2]) in groups, typed
            continue
        used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", typed))
        assert used - {"--help", "--debug"} <= FLAGS[verb], typed


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_keys_that_are_set_exist(page: Path) -> None:
    roots = ("images.roots.",)
    named = KEY.findall(page.read_text())
    assert [key for key in named if key not in KEYS and not key.startswith(roots) and key != "group.key"] == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_keys_that_are_named_exist(page: Path) -> None:
    """A code span such as `train.optimizer: adamw_8bit`; `check.*` and a whole group count, too."""
    groups = "|".join(Recipe.model_fields)
    named = re.findall(rf"`((?:{groups})\.[a-z_.]+)(?::[^`]*)?`", page.read_text())
    known = KEYS | {".".join(key.split(".")[:length]) for key in KEYS for length in (2, 3)}
    files = (".py", ".sh", ".yaml", ".json", ".parquet", ".jsonl")
    assert [key for key in named if key.rstrip(".") not in known and not key.endswith(files)] == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    made = {"changelog.md", "contributing.md"}  # pages of the site that lie in the root
    gone = [link for link in links if "://" not in link and not (page.parent / link).exists() and link not in made]
    assert gone == []


def test_recipes_that_are_named_ship() -> None:
    text = "".join(page.read_text() for page in PAGES)
    named = set(re.findall(r"sena (?:evolve|pairs|check|sweep) ([a-z][a-z0-9-]+)(?=[ `\n])", text))
    assert named - set(load.shipped()) - {"with"} == set(), named


def test_the_checks_find_what_they_are_for() -> None:
    assert verb_of("sena bench ls pope") == "sena bench ls"
    assert verb_of("sena evlove demo") is None
    assert "train.learning_rate" in KEYS
    found: Any = KEY.findall("`--set train.lerning_rate=1`")
    assert found == ["train.lerning_rate"]
