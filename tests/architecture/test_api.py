"""Python has what the command line has: a function of the same name for each verb, loaded only when it is asked for."""

from __future__ import annotations

import inspect
import subprocess
import sys
import types

import typer.main

import sena
from sena.cli import app

RENAMED = {"eval": "evaluate", "recipes": "load_recipe"}  # `eval` is Python's own
LISTS = {"bench", "models"}  # print tables that lie in modules: sena.recipes.names.suites, sena.models.families
FLAGS_ELSEWHERE = {"evolve", "pairs", "check", "sweep"}  # their functions take the recipe that `load_recipe` makes


def verbs() -> set[str]:
    return set(typer.main.get_command(app).commands) - LISTS  # pyright: ignore[reportAttributeAccessIssue]


def test_each_verb_has_its_function() -> None:
    for verb in verbs():
        found = getattr(sena, RENAMED.get(verb, verb))
        assert callable(found), verb
        assert found.__doc__, verb
        assert not isinstance(found, types.ModuleType), verb


def test_arguments_have_the_names_of_the_flags() -> None:
    """Where a verb hands its flags through, what one can say in a terminal one can say in Python."""
    for verb in ("ask", "chat", "answer", "web", "serve", "push", "export", "train"):
        command = typer.main.get_command(app).commands[verb]  # pyright: ignore[reportAttributeAccessIssue]
        flags = {parameter.name for parameter in command.params} - {"rest"}  # pictures and question in one
        names = set(inspect.signature(getattr(sena, verb)).parameters)
        assert flags - {"set", "round"} <= names, verb


def test_a_verb_keeps_its_name_when_the_room_of_that_name_is_loaded() -> None:
    code = "import sena, sena.report.show, sena.serve.answer; print(sena.report.__name__, sena.serve.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["report", "serve"]


def test_names_load_nothing_before_they_are_asked_for() -> None:
    code = "import sena, sys; dir(sena); print(sorted(name for name in sys.modules if name.startswith('sena')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['sena']"
    assert set(sena.__all__) >= {"load", "ask", "evolve", "push"}
