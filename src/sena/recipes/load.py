"""From a recipe's name or file and a few overrides to a checked configuration. No torch is loaded here.

A recipe is a YAML file. `extends: NAME_OR_FILE` lays it over another: groups merge, lists and values replace.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from sena.errors import RecipeError
from sena.recipes.faults import Origin, Origins, explain, nearest
from sena.recipes.yaml_marks import forget, join, parse, write

M = TypeVar("M", bound=BaseModel)

FOLDER = Path(__file__).parent
LARGEST = 1 << 20
"""Bytes. A larger file is something else, a data set perhaps."""


class Override(NamedTuple):
    """A setting given on the command line. `flag` is what the user typed, for errors."""

    path: str
    value: Any
    flag: str


def load(model: type[M], name_or_path: str | Path, overrides: Sequence[str | Override] = ()) -> tuple[M, Origins]:
    """The recipe checked against `model`, and where each of its settings was written.

    `overrides` are `a.b=c` as `--set` takes them, or `Override`s that come from other flags; later ones win.
    Raises RecipeError with all faults, one a line.
    """
    data, origins = read(name_or_path, overrides)
    return validate(model, data, origins), origins


def read(name_or_path: str | Path, overrides: Sequence[str | Override] = ()) -> tuple[dict[str, Any], Origins]:
    """The recipe as plain values with everything that it extends, overrides applied, unchecked."""
    data, origins = _read_file(path_of(name_or_path), ())
    for override in overrides:
        override = parse_set(override) if isinstance(override, str) else override
        _apply(override, data, origins)
    return data, origins


def validate(model: type[M], data: Mapping[str, Any], origins: Origins) -> M:
    """Raises RecipeError with all faults, one a line, each with dotted path, place and mend."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise RecipeError(explain(error, model, data, origins)) from error


def shipped() -> list[str]:
    """The names of the recipes that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def about(name_or_path: str | Path) -> str:
    """What a recipe file says of itself: its first line of comment, or nothing."""
    path = path_of(name_or_path)
    lines = _text(path, path.name).splitlines()
    return next((line.strip("# ") for line in lines if line.startswith("#")), "")


def path_of(name_or_path: str | Path, beside: Path | None = None) -> Path:
    """The file of a shipped name or of a path, relative to the folder `beside` when given.

    Raises RecipeError that lists the shipped names when there is neither.
    """
    name = str(name_or_path)
    if name in shipped():
        return FOLDER / f"{name}.yaml"
    path = (beside or Path()) / Path(name).expanduser()
    if name and path.is_file():
        return path
    if name and path.is_dir():
        raise RecipeError(f"{path} is a folder: name the recipe file in it")
    guess = nearest(Path(name).stem, shipped())
    meant = f"did you mean {guess}? " if guess else ""
    raise RecipeError(f"There is no recipe {name!r}: {meant}shipped are {', '.join(shipped())}; or give a YAML file")


def parse_set(text: str) -> Override:
    """`a.b=c` as typed after `--set`; the value is read as YAML. Raises RecipeError that shows the right form."""
    path, equals, value = text.partition("=")
    path = path.strip()
    if not equals or not all(path.split(".")):
        raise RecipeError(f"--set {text}: write it as --set group.setting=value")
    flag = f"--set {text}"
    return Override(path, parse(value, flag)[0], flag)


def dump(recipe: BaseModel) -> str:
    """The complete recipe as YAML, every setting in the order of the model; `load` gives an equal recipe back."""
    return write(recipe.model_dump(mode="json"))


def differing_keys(a: BaseModel | Mapping[str, Any], b: BaseModel | Mapping[str, Any]) -> list[str]:
    """The dotted settings in which two complete recipes differ, a missing one included. A list is one setting."""
    first, second = _flat(_plain(a)), _flat(_plain(b))
    return [
        path
        for path in {**first, **second}
        if path not in first or path not in second or not _same(first[path], second[path])
    ]


def _read_file(path: Path, below: tuple[Path, ...]) -> tuple[dict[str, Any], Origins]:
    name = path.name if path.parent == FOLDER else str(path)
    if path.resolve() in below:
        raise RecipeError(f"{name} extends itself by way of {below[-1].name}: remove one `extends`")
    data, marks = parse(_text(path, name), name)
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise RecipeError(f"{name} is not a recipe: it must hold settings, one `name: value` a line")
    origins = {key: Origin(name, line) for key, line in marks.items()}
    if "extends" not in data:
        return data, origins
    base = data.pop("extends")
    where = origins.pop("extends")
    if not isinstance(base, str):
        raise RecipeError(f"{where}: extends must be the name or file of one recipe, not {base!r}")
    return _on_top_of(base, where, path, below, data, origins)


def _on_top_of(
    base: str, where: Origin, path: Path, below: tuple[Path, ...], data: dict[str, Any], origins: Origins
) -> tuple[dict[str, Any], Origins]:
    try:
        base_path = path_of(base, path.parent)
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from error
    lower, lower_origins = _read_file(base_path, (*below, path.resolve()))
    _merge(lower, lower_origins, data, origins, "")
    return lower, lower_origins


def _text(path: Path, name: str) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise RecipeError(f"{name} is larger than any recipe: give a YAML file of settings")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{name} is not UTF-8 text: give a YAML file of settings") from error
    except OSError as error:
        raise RecipeError(
            f"{name} cannot be read ({error.strerror}): change its permissions or give another"
        ) from error


def _merge(lower: dict[str, Any], lower_origins: Origins, upper: dict[str, Any], origins: Origins, path: str) -> None:
    """Lay `upper` over `lower`, in place, and its origins over the lower ones."""
    for key, value in upper.items():
        here = join(path, key)
        if isinstance(value, dict) and isinstance(lower.get(key), dict):
            _merge(lower[key], lower_origins, value, origins, here)
        else:
            lower[key] = value
            forget(lower_origins, here)
            lower_origins.update({k: v for k, v in origins.items() if k == here or k.startswith(here + ".")})


def _apply(override: Override, data: dict[str, Any], origins: Origins) -> None:
    nested: Any = override.value
    for part in reversed(override.path.split(".")):
        nested = {part: nested}
    origin = Origin(override.flag)
    _merge(data, origins, nested, dict.fromkeys(_flat(nested), origin), "")
    group = override.path
    while group:  # a group that only this flag has made
        origins.setdefault(group, origin)
        group = group.rpartition(".")[0]


def _flat(value: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, inner in value.items():
        here = join(path, str(key))
        if isinstance(inner, Mapping) and inner:
            leaves |= _flat(inner, here)
        else:
            leaves[here] = inner
    return leaves


def _plain(recipe: BaseModel | Mapping[str, Any]) -> Mapping[str, Any]:
    return recipe.model_dump(mode="json") if isinstance(recipe, BaseModel) else recipe


def _same(a: Any, b: Any) -> bool:
    """Equal as JSON: true is not 1, and not-a-number equals itself."""
    return json.dumps(a, sort_keys=True, default=str) == json.dumps(b, sort_keys=True, default=str)
