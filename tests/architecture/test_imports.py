"""Every module can be imported alone, and what only looks at recipes and run folders never loads torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture.source import FILES, GROUND_FLOOR, module

HEAVY = ("torch", "transformers", "peft", "tensorboard")
WITHOUT_TORCH = ["sena", *GROUND_FLOOR, "sena.recipes.load", "sena.recipes.recipe", "sena.cli"]


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_every_module_can_be_imported() -> None:
    """In one process, each after the others of its own are forgotten, so that a circle shows wherever one enters it."""
    names = [module(file) for file in FILES if file.stem != "__main__"]
    code = f"""
import importlib, sys
for name in {names!r}:
    for known in [known for known in sys.modules if known.partition(".")[0] == "sena"]:
        del sys.modules[known]
    importlib.import_module(name)
"""
    done = run(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_light_modules_load_no_torch(name: str) -> None:
    done = run(f"import sys, {name}; print([heavy for heavy in {HEAVY!r} if heavy in sys.modules])")
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments", [["--help"], ["recipes", "ls"], ["bench", "ls"], ["show", "--help"], ["evolve", "--help"]]
)
def test_light_verbs_load_no_torch(arguments: list[str]) -> None:
    code = f"""
import sys
from sena.cli import main
sys.argv = ["sena", *{arguments!r}]
try:
    main()
    status = 0
except SystemExit as stop:
    status = stop.code or 0
print("loaded", [heavy for heavy in {HEAVY!r} if heavy in sys.modules], status)
"""
    done = run(code)
    assert done.stdout.splitlines()[-1] == "loaded [] 0", done.stdout + done.stderr
