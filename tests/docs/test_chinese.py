"""README.zh-CN.md keeps step with README.md, section by section: all but the prose is the same."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.architecture.source import ROOT

MEND = "translate what changed in README.md"


class Section(NamedTuple):
    """What a translation keeps of a section: comments in commands and text around links may be in any language. `names`
    are words such as LLaVA, DPO or Qwen2."""

    level: int
    blocks: list[list[str]]
    code: list[str]
    tables: list[list[str]]
    links: list[str]
    items: int
    figures: list[str]
    names: set[str]


def sections(name: str) -> list[Section]:
    """By headings; links between the two files are left out."""
    text = re.sub(r"\[[^\]]*\]\(README[\w.-]*\.md\)", "", (ROOT / name).read_text(encoding="utf-8"))
    heads = list(re.finditer(r"^(#+) .*$", _without_blocks(text), re.MULTILINE))
    ends = [*(found.start() for found in heads[1:]), len(text)]
    return [
        section(len(head[1]), text[head.start() : end], _without_blocks(text)[head.start() : end])
        for head, end in zip(heads, ends, strict=True)
    ]


def section(level: int, text: str, prose: str) -> Section:
    fences = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    rows = [line for line in prose.splitlines() if line.startswith("|")]
    return Section(
        level,
        [[line.split("#")[0].rstrip() for line in block.splitlines()] for block in fences],
        sorted(" ".join(each.split()) for each in re.findall(r"`([^`]+)`", prose)),
        [re.findall(r"`([^`]+)`", row) for row in rows],
        sorted(re.findall(r"\]\(([^)]+)\)", prose)),
        len(re.findall(r"^(?:- |\d+\. )", prose, re.MULTILINE)),
        sorted(re.findall(r"\d+\.\d+", prose)),
        {
            name.rstrip("s")
            for name in re.findall(r"[A-Z][A-Za-z.-]*[A-Z0-9][A-Za-z0-9]*", re.sub(r"`[^`]+`", "", prose))
        },
    )


def _without_blocks(text: str) -> str:
    """The text with fenced blocks blanked, places kept."""
    return re.sub(r"^```.*?^```$", lambda found: re.sub(r"[^\n]", " ", found[0]), text, flags=re.MULTILINE | re.DOTALL)


def test_section_by_section_the_same() -> None:
    english, chinese = sections("README.md"), sections("README.zh-CN.md")
    assert len(english) > 5
    assert [each.level for each in chinese] == [each.level for each in english], MEND
    for number, (ours, theirs) in enumerate(zip(english, chinese, strict=True), 1):
        for field in Section._fields:
            assert getattr(theirs, field) == getattr(ours, field), f"section {number}, {field}: {MEND}"


def test_the_prose_is_chinese() -> None:
    text = _without_blocks((ROOT / "README.zh-CN.md").read_text(encoding="utf-8"))
    assert len(re.findall(r"[\u4e00-\u9fff]", text)) > 1500
