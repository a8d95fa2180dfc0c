"""YAML in, plain values out, and beside every value the line it was written on, so that a mistake can be shown.

Reads scalars as YAML 1.2 does: `2e-6` is a number, and `yes`, `no`, `on`, `off` and dates are text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from sena.errors import RecipeError

Marks = dict[str, int]
"""Dotted path -> line, counted from 1."""

NODES = 100_000
"""More values than any recipe has. Stops texts whose anchors unfold to billions of them."""

FLOAT = re.compile(
    r"^[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
)
MAP, SEQUENCE = "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012  (the library's way to configure a loader)


class _Dumper(yaml.SafeDumper):
    """SafeDumper that also quotes text which `_Loader` would take for a number; long texts become blocks."""

    yaml_implicit_resolvers = {key: list(rules) for key, rules in yaml.SafeDumper.yaml_implicit_resolvers.items()}  # noqa: RUF012

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    lines = value.split("\n")
    if not all(line.isprintable() for line in lines):
        style = '"'  # the only style that brings back odd line ends and control characters as they were
    else:
        style = "|" if len(lines) > 1 else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+0123456789."))
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^(?:<<)$"), ["<"])
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))  # 010 is ten, not eight
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+0123456789."))
_Dumper.add_representer(str, _text)


def parse(text: str, name: str) -> tuple[Any, Marks]:
    """The values in `text` and the line of each dotted path. `name` is what errors call the text.

    Raises RecipeError for broken YAML, a key written twice, tags, keys that are not text, and anchors in a circle.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        walk = _Walk(loader, name)
        return (walk.value(node, "") if node else None), walk.marks
    except yaml.MarkedYAMLError as error:
        raise RecipeError(_broken(error, name)) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise RecipeError(f"{name} is not readable YAML ({_first_line(error)})") from error


def write(value: Any) -> str:
    """Plain values as YAML text in the order they have; `parse` gives the same values back."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=False)


@dataclass(slots=True)
class _Walk:
    loader: _Loader
    name: str
    marks: Marks = field(default_factory=dict)
    nodes: int = 0
    above: set[int] = field(default_factory=set)
    flat: set[int] = field(default_factory=set)

    def value(self, node: yaml.Node, path: str) -> Any:
        self.nodes += 1
        if self.nodes > NODES:
            raise RecipeError(f"{self.name} unfolds to more than {NODES:,} values: that is no recipe")
        if id(node) in self.above:
            raise RecipeError(f"{self.name} line {_line(node)}: an anchor holds itself; write the values out")
        self.above.add(id(node))
        try:
            return self._value(node, path)
        finally:
            self.above.discard(id(node))

    def _value(self, node: yaml.Node, path: str) -> Any:
        if path:
            self.marks.setdefault(path, _line(node))
        if isinstance(node, yaml.MappingNode) and node.tag == MAP:
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == SEQUENCE:
            return [self.value(child, join(path, str(number))) for number, child in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self.loader.construct_object(node)
        raise RecipeError(f"{self.name} line {_line(node)}: the tag {node.tag} is not understood; remove it")

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Any]:
        if id(node) not in self.flat:  # an anchor's node comes by more than once, and flattening changes it
            self.flat.add(id(node))
            self._refuse_doubles(node, path)
            self.loader.flatten_mapping(node)  # resolves `<<`: what is merged in comes first, so that own keys win
        values: dict[str, Any] = {}
        for key_node, child in node.value:
            key = self._key(key_node)
            child_path = join(path, key)
            if key in values:
                forget(self.marks, child_path)
            self.marks[child_path] = _line(key_node)
            values[key] = self.value(child, child_path)
        return values

    def _refuse_doubles(self, node: yaml.MappingNode, path: str) -> None:
        lines: dict[str, int] = {}
        for key_node, _ in node.value:
            key = self._key(key_node)
            if key in lines and key_node.tag != "tag:yaml.org,2002:merge":
                where = f"{self.name} line {_line(key_node)}"
                raise RecipeError(f"{where}: {join(path, key)} is set twice, first on line {lines[key]}; remove one")
            lines[key] = _line(key_node)

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise RecipeError(f"{self.name} line {_line(node)}: a key must be a word")
        return str(node.value)


def join(path: str, key: str) -> str:
    """`a.b` and `c` -> `a.b.c`; an empty path is the top."""
    return f"{path}.{key}" if path else key


def forget(marks: dict[str, Any], path: str) -> None:
    """Remove `path` and all below it from `marks`."""
    for key in [key for key in marks if key == path or key.startswith(path + ".")]:
        del marks[key]


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _broken(error: yaml.MarkedYAMLError, name: str) -> str:
    line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
    return f"{name}{line}: this is not valid YAML ({error.problem or error.context}); mend the line or the one above it"


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
