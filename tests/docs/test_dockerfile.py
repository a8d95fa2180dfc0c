"""The Dockerfile is read, not run: no test has a Docker daemon. What it copies is there and not ignored."""

from __future__ import annotations

import json
import re

import pytest

from tests.architecture.source import ROOT

TEXT = (ROOT / "Dockerfile").read_text()
STEPS = [step.split(maxsplit=1) for step in re.sub(r"\\\n", " ", TEXT).splitlines() if step and step[0] not in "#"]
IGNORED = (ROOT / ".dockerignore").read_text().split()


def steps(kind: str) -> list[str]:
    return [rest for name, rest in STEPS if name == kind]


COPIED = [source for step in steps("COPY") for source in step.split()[:-1]]


@pytest.mark.parametrize("source", COPIED)
def test_what_is_copied_is_there_and_let_through(source: str) -> None:
    assert (ROOT / source).exists()
    assert f"!{source}" in IGNORED


def test_all_that_the_build_needs_is_copied() -> None:
    """What pyproject.toml reads when a wheel is built, and the lock."""
    assert {"pyproject.toml", "README.md", "LICENSE", "src", "requirements.lock"} == set(COPIED)


def test_only_known_instructions_and_a_user_without_rights() -> None:
    """The last USER counts; the entry point is the program of pyproject.toml, in the form without a shell."""
    assert {name for name, _ in STEPS} <= {"FROM", "ARG", "ENV", "RUN", "WORKDIR", "COPY", "USER", "ENTRYPOINT", "CMD"}
    assert STEPS[0][0] == "FROM"
    assert steps("USER")[-1] == "sena"
    assert json.loads(steps("ENTRYPOINT")[-1]) == ["sena"]
    assert json.loads(steps("CMD")[-1]) == ["--help"]


def test_the_python_is_one_that_sena_takes() -> None:
    [tag] = re.findall(r"^FROM python:3\.(\d+)-slim$", TEXT, re.MULTILINE)
    assert int(tag) >= 11


def test_arguments_that_are_used_are_declared() -> None:
    declared = {step.partition("=")[0] for step in steps("ARG")}
    assert set(re.findall(r"\$\{?([A-Z_]+)", "\n".join(steps("RUN")))) <= declared
