"""The verbs and flags of the command line are frozen, so that they cannot grow unnoticed.

A flag is a promise to every user's script. To add one on purpose, add its line to cli_flags.txt.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from sena.cli import app

FROZEN = Path(__file__).with_name("cli_flags.txt")


def test_verbs_and_flags_are_the_frozen_ones() -> None:
    assert sorted(lines(typer.main.get_command(app), "sena")) == FROZEN.read_text().splitlines()


def lines(command: Any, name: str) -> Iterator[str]:
    """`sena evolve --out`, `sena evolve [recipe]`: one line for each argument and flag, one for a verb without any."""
    verbs = getattr(command, "commands", {})
    for verb, inner in verbs.items():
        yield from lines(inner, f"{name} {verb}")
    if not verbs and not command.params:
        yield name
    for parameter in command.params:
        spelled = "|".join([*parameter.opts, *parameter.secondary_opts])
        is_flag = parameter.param_type_name == "option"
        yield f"{name} {spelled if is_flag else f'[{parameter.name}]'}"
