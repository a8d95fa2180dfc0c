"""Small enough to read: files, functions, parameters."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.architecture.source import FILES, SOURCE

FILE_LINES, FUNCTION_LINES, PARAMETERS = 400, 60, 7
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> Iterator[tuple[str, Function]]:
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, Function):
                yield f"{file.relative_to(SOURCE)}:{node.lineno} {node.name}", node


def is_verb(place: str) -> bool:
    return place.startswith("cli")  # a verb has one parameter for each of its flags


def test_files() -> None:
    lengths = {str(file.relative_to(SOURCE)): len(file.read_text().splitlines()) for file in FILES}
    assert {name: lines for name, lines in lengths.items() if lines > FILE_LINES} == {}


def test_functions() -> None:
    lengths = {place: (node.end_lineno or 0) - node.lineno + 1 for place, node in functions()}
    assert {place: lines for place, lines in lengths.items() if lines > FUNCTION_LINES} == {}


def test_parameters() -> None:
    counts = {place: count(node) for place, node in functions() if not is_verb(place)}
    assert {place: number for place, number in counts.items() if number > PARAMETERS} == {}


def count(node: Function) -> int:
    arguments = node.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return len([argument for argument in named if argument.arg not in ("self", "cls")])
