"""Nothing in the package runs code that came with data: no pickle, no remote code. Safetensors and JSON only."""

from __future__ import annotations

import re

import pytest

from tests.architecture.source import FILES, SOURCE

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
    assert {name: hits for name, hits in found.items() if hits} == {}


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
