"""What pydantic objects to, said to the person who wrote the recipe: where, which setting, what would be right."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from sena.recipes.yaml_marks import join


class Origin(NamedTuple):
    """Where a value was written: a file and its line, or a flag (then `line` is None)."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file} line {self.line}"


Origins = dict[str, Origin]
"""Dotted path -> where it was written."""


def explain(error: ValidationError, model: type[BaseModel], data: Mapping[str, Any], origins: Origins) -> str:
    """All faults, one a line, in the order in which they stand in the recipe."""
    faults: dict[str, list[str]] = {}
    for fault in error.errors(include_url=False):
        path = _path(fault, data)
        faults.setdefault(path, []).append(_sentence(fault, path, model))
    keys = sorted(faults, key=lambda path: _order(origin_of(path, origins)))
    return "\n".join(_line(path, faults[path], origins) for path in keys)


def origin_of(path: str, origins: Origins) -> Origin | None:
    """Where `path` was written, or else the nearest group around it."""
    while path:
        if path in origins:
            return origins[path]
        path = path.rpartition(".")[0]
    return None


def valid_keys(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """Every dotted path that `model` knows, groups and settings; the first element stands for a list's others."""
    for name, field in model.model_fields.items():
        yield join(path, name)
        for inner, step in _models_in(field.annotation):
            yield from valid_keys(inner, join(path, name) + step)


def nearest(word: str, words: list[str]) -> str | None:
    """The word meant by a mistyped or misplaced one, or None."""
    group, _, last = word.rpartition(".")
    same_name = [known for known in words if known.rpartition(".")[2] == last]
    if len(same_name) == 1:
        return same_name[0]
    siblings = {known.rpartition(".")[2]: known for known in words if known.rpartition(".")[0] == group}
    everywhere = {known.rpartition(".")[2]: known for known in words}
    for place in (siblings, everywhere):
        short = [known for name, known in place.items() if last == "".join(part[:1] for part in name.split("_"))]
        if len(short) == 1 and len(last) > 1:  # lr for learning_rate
            return short[0]
        found = difflib.get_close_matches(last, list(place), n=1, cutoff=0.7)
        if found:
            return place[found[0]]
    return None


def _models_in(annotation: Any, step: str = "") -> Iterator[tuple[type[BaseModel], str]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, step
    elif typing.get_origin(annotation) in (list, tuple):
        for inner in typing.get_args(annotation):
            yield from _models_in(inner, step + ".0")
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        for inner in typing.get_args(annotation):
            yield from _models_in(inner, step)


def _path(fault: Any, data: Any) -> str:
    """The dotted path as written. Pydantic's own names for the branches of a union are left out of it."""
    path = ""
    for number, part in enumerate(fault["loc"]):
        is_last = number == len(fault["loc"]) - 1
        is_key = isinstance(data, Mapping) and part in data
        is_place = isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)
        if is_key or is_place:
            data = data[part]
        elif not (is_last and fault["type"] == "missing"):
            continue
        path = join(path, str(part))
    return path


def _sentence(fault: Any, path: str, model: type[BaseModel]) -> str:
    if fault["type"] == "extra_forbidden":
        return _unknown(path, list(valid_keys(model)))
    if fault["type"] == "missing":
        return "is missing; write it"
    if fault["type"] in ("model_type", "model_attributes_type", "dict_type") and fault["input"] is None:
        return "is empty; write a setting below it or remove it"
    if fault["type"] == "value_error":  # a validator of ours: its words are already for people
        return f"is not possible: {fault['ctx']['error']}"
    return f"must be {_wanted(fault)}, not {_shown(fault['input'])}"


def _unknown(path: str, known: list[str]) -> str:
    group = path.rpartition(".")[0]
    if path in known:  # written with its dot, as one word
        *groups, last = path.split(".")
        nested = ": {".join([*groups, last]) + ": ..." + "}" * len(groups)
        return f'is a setting inside a group; write "{nested}" or indent it below {groups[-1]}:'
    guess = nearest(path, known)
    if guess:
        return f"is not a setting; did you mean {guess}?"
    siblings = [key for key in known if key.rpartition(".")[0] == group]
    place = f"{group} has" if group and siblings else "a recipe has"
    return f"is not a setting; {place} " + ", ".join(siblings or [key for key in known if "." not in key])


WANTED: dict[str, Callable[[dict[str, Any]], str]] = {
    "greater_than_equal": lambda c: f"{c['ge']:g} or more",
    "greater_than": lambda c: f"more than {c['gt']:g}",
    "less_than_equal": lambda c: f"{c['le']:g} or less",
    "less_than": lambda c: f"less than {c['lt']:g}",
    "multiple_of": lambda c: f"a multiple of {c['multiple_of']}",
    "finite_number": lambda c: "a finite number",
    "literal_error": lambda c: f"one of {c['expected'].replace(' or ', ', ')}",
    "enum": lambda c: f"one of {c['expected'].replace(' or ', ', ')}",
    "union_tag_invalid": lambda c: f"a group whose {c['discriminator'].strip(chr(39))} is one of {c['expected_tags']}",
    "union_tag_not_found": lambda c: f"a group with a {c['discriminator'].strip(chr(39))}",
    "string_too_short": lambda c: f"text of {c['min_length']} letters or more",
    "string_too_long": lambda c: f"text of {c['max_length']} letters or less",
    "string_pattern_mismatch": lambda c: f"text of the form {c['pattern']}",
    "too_short": lambda c: f"a list of {c['min_length']} or more",
    "too_long": lambda c: f"a list of {c['max_length']} or less",
}
KINDS = {
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "bool": "true or false",
    "string": "text",
    "path": "a path",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen": "a list",
    "dict": "a group of settings",
    "model": "a group of settings",
    "none": "null",
}


def _wanted(fault: Any) -> str:
    known = WANTED.get(fault["type"])
    if known:
        return known(fault.get("ctx", {}))
    kind = KINDS.get(fault["type"].partition("_")[0])
    return kind or f"right for this setting ({fault['msg']})"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a group of settings"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _line(path: str, sentences: list[str], origins: Origins) -> str:
    """The branches of a union object one by one; a reader wants to hear of them together."""
    origin = origin_of(path, origins)
    said = list(dict.fromkeys(sentences))
    if len(said) > 1 and all(sentence.startswith("must be ") for sentence in said):
        wanted = " or ".join(sentence.removeprefix("must be ").rpartition(", not ")[0] for sentence in said)
        said = [f"must be {wanted}, not {said[0].rpartition(', not ')[2]}"]
    return f"{origin}: {path or 'the recipe'} {said[0]}" if origin else f"{path or 'the recipe'} {said[0]}"


def _order(origin: Origin | None) -> tuple[str, int]:
    return (origin.file, origin.line or 0) if origin else ("", 0)
