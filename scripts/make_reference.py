"""Write what the docs say of the code from the code: every key of a recipe, every flag, the picture of the rooms.

python scripts/make_reference.py            or `make reference`; a test says when they are out of date
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer.main
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import rooms_picture
from sena import files
from sena.cli import app
from sena.recipes import load
from sena.recipes.recipe import Recipe

DOCS = Path(__file__).parents[1] / "docs"
LONGEST = 60  # characters of a default that a cell shows
WORDS: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null"}
BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def pages() -> dict[str, str]:
    """The text of each file by its path below docs/."""
    return {
        "reference/recipe.md": recipe_page(),
        "reference/cli.md": cli_page(),
        "pictures/rooms.svg": rooms_picture.picture(),
    }


def recipe_page() -> str:
    """A section for each group of keys, a row for each key, then the shipped recipes."""
    parts = [
        "# Every key of a recipe\n",
        "Made from the models that check a recipe (`make reference`). A recipe is a YAML file; "
        "`--set group.key=value` changes one key, and `extends: NAME` at the top begins from another recipe. "
        "*Required* keys have no default: the shipped recipes set them all, so one that extends them need not.\n",
    ]
    for group, field in Recipe.model_fields.items():
        rows = "\n".join(_key_row(path, each) for path, each in keys(group, field))
        parts += [
            f"## `{group}`\n",
            f"{_sentence(field.description)}\n",
            _table("key | takes | default | meaning", rows),
        ]
    shipped = "\n".join(f"| `{name}` | {_cell(load.about(name))} |" for name in load.shipped())
    parts += ["## The shipped recipes\n", _table("recipe | what it is", shipped)]
    return "\n".join(parts)


def keys(path: str, field: FieldInfo) -> Iterator[tuple[str, FieldInfo]]:
    """Every key below one of a recipe, groups opened; `[]` stands for each entry of a list."""
    model, is_list = _model_in(field.annotation)
    if model is None:
        yield path, field
        return
    if is_list or field.default is None:
        yield path, field
    for name, inner in model.model_fields.items():
        yield from keys(f"{path}{'[]' if is_list else ''}.{name}", inner)


def takes(field: FieldInfo) -> str:
    """The values that a key takes, in words."""
    limits = [
        f"{BOUNDS[name]} {getattr(each, name)}" for each in field.metadata for name in BOUNDS if hasattr(each, name)
    ]
    return ", ".join([_named(field.annotation), *limits])


def cli_page() -> str:
    """A section for each verb: what it does, and its arguments and flags."""
    parts = [
        "# Every command\n",
        "Made from the program itself (`make reference`). `sena VERB --help` says the same. "
        "`--debug` with any verb shows where an error arose. The exit code is 0, or 2 for a mistake of the user, 130 "
        "for Ctrl-C, and 1 for a fault of the program.\n",
    ]
    for name, command in verbs(typer.main.get_command(app), "sena"):
        usage = " ".join([name, *(_spelled(each) for each in command.params if each.param_type_name == "argument")])
        parts += [f"## `{name}`\n", f"{command.help}\n", f"```\n{usage}{' [flags]' if _flags(command) else ''}\n```\n"]
        if command.params:
            rows = "\n".join(_flag_row(each) for each in command.params)
            parts.append(_table("argument or flag | default | meaning", rows))
    return "\n".join(parts)


def verbs(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every verb that does something, with its whole name."""
    inner = getattr(command, "commands", {})
    if not inner:
        yield name, command
    for verb, each in inner.items():
        yield from verbs(each, f"{name} {verb}")


def _key_row(path: str, field: FieldInfo) -> str:
    return f"| `{path}` | {_cell(takes(field))} | {_default(field)} | {_cell(_sentence(field.description))} |"


def _flag_row(parameter: Any) -> str:
    default = "" if parameter.default in (None, False, "", [], ()) else f"`{parameter.default}`"
    shown = "required" if parameter.required else default
    return f"| `{_spelled(parameter)}` | {shown} | {_cell(parameter.help or '')} |"


def _spelled(parameter: Any) -> str:
    """`[RECIPE]`, `--out PATH`, `--json`."""
    metavar = parameter.metavar or parameter.name.upper()
    if parameter.param_type_name == "argument":
        dots = "..." if parameter.nargs == -1 else ""
        return metavar if parameter.required or metavar.startswith("[") else f"[{metavar}]{dots}"
    names = ", ".join(parameter.opts)
    return names if parameter.is_flag else f"{names} {metavar}"


def _flags(command: Any) -> bool:
    return any(each.param_type_name == "option" for each in command.params)


def _named(kind: Any) -> str:
    """A type in words that a person who writes YAML knows."""
    if kind in WORDS:
        return WORDS[kind]
    if get_origin(kind) is Annotated:
        return _named(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(_named(each) for each in get_args(kind))
    if get_origin(kind) in (tuple, list):
        return f"list of: {_named(get_args(kind)[0])}"
    if get_origin(kind) is dict:
        return " to ".join(_named(each) for each in get_args(kind)).join(["map of ", ""])
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "group"
    raise TypeError(f"no words for the type {kind}: add some to scripts/make_reference.py")


def _model_in(kind: Any) -> tuple[type[BaseModel] | None, bool]:
    """The group of keys that a type holds, itself or as entries of a list, and whether it is a list."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind, False
    found = [_model_in(each)[0] for each in get_args(kind)]
    model = next((each for each in found if each is not None), None)
    return model, get_origin(kind) in (tuple, list)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    value = field.get_default(call_default_factory=True)  # pyright: ignore[reportCallIssue]
    if value is PydanticUndefined or isinstance(value, BaseModel):
        return ""
    text = json.dumps(value, ensure_ascii=False)
    return f"`{_cell(text if len(text) <= LONGEST else text[:LONGEST] + ' ...')}`"


def _table(head: str, rows: str) -> str:
    return f"| {head} |\n|{'---|' * len(head.split(' | '))}\n{rows}\n"


def _cell(text: str) -> str:
    """On one line, and no end of a cell."""
    return " ".join(text.split()).replace("|", "\\|")


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split())


def main() -> None:
    """Write the files that differ from what is there."""
    for name, text in pages().items():
        path = DOCS / name
        if not path.is_file() or path.read_text() != text:
            files.write_text(path, text)
            print(f"written: {path}")


if __name__ == "__main__":
    main()
