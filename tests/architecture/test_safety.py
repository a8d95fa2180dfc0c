"""Nothing in the package runs code that came with data: no pickle, no remote code. Safetensors and JSON only."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.source import FILES, SOURCE

UNPICKLE = "models/unpickle.py"
FORBIDDEN = {
    "pickle": r"^\s*(?:import|from)\s+(?:pickle|cPickle|dill|cloudpickle|joblib|shelve|marshal)\b",
    "torch.load or torch.save": r"\btorch\.(?:load|save)\(",
    "remote code": r"\btrust_remote_code\s*=\s*(?!False\b)",
    "numpy's pickles": r"\ballow_pickle\s*=\s*(?!False\b)",
    "safetensors not asked for": r"\buse_safetensors\s*=\s*(?!True\b)",
    "YAML that builds objects": r"\byaml\.(?:load\((?!.*Safe)|full_load|unsafe_load)",
    "eval": r"(?<![\w.])(?:eval|exec)\(",
    "a shell": r"\bshell\s*=\s*True\b|\bos\.system\(",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_source_has_none(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what], re.MULTILINE)
    found = {str(file.relative_to(SOURCE)): pattern.findall(file.read_text()) for file in FILES}
    if what == "torch.load or torch.save":
        assert found.pop(UNPICKLE) == ["torch.load("]
    assert {name: hits for name, hits in found.items() if hits} == {}


def test_the_one_reader_of_pickles_reads_weights_only() -> None:
    """And nobody imports it: `sena convert` starts it as a process of its own."""
    calls = [node for node in ast.walk(ast.parse((SOURCE / UNPICKLE).read_text())) if isinstance(node, ast.Call)]
    [load] = [call for call in calls if ast.unparse(call.func) == "torch.load"]
    assert {word.arg: ast.unparse(word.value) for word in load.keywords}["weights_only"] == "True"
    pattern = re.compile(r"import .*\bunpickle\b|sena\.models\.unpickle import")
    assert [str(file) for file in FILES if pattern.search(file.read_text())] == []


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("pickle", "    import pickle"),
        ("torch.load or torch.save", "x = torch.load(path)"),
        ("remote code", "load(name, trust_remote_code=True)"),
        ("numpy's pickles", "np.load(p, allow_pickle=True)"),
        ("YAML that builds objects", "yaml.load(text, Loader=yaml.Loader)"),
        ("eval", "    eval(text)"),
    ],
)
def test_the_patterns_find_what_they_are_for(what: str, line: str) -> None:
    assert re.search(FORBIDDEN[what], line, re.MULTILINE)
