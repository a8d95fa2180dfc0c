"""What the site does beyond Markdown: equations become MathML, and two files of the root become pages.

mkdocs.yml names this file; mkdocs calls the functions by their names.
"""

from __future__ import annotations

import re
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

ROOT_PAGES = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}
EQUATION = re.compile(r"^```math\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Pages that lie outside `docs/`, since people look for them in the root."""
    for page, source in ROOT_PAGES.items():
        files.append(File.generated(config, page, abs_src_path=source))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Equations in ```math fences, which code hosts render by themselves, as MathML, which needs no script; a wide one
    is scrolled by itself on a narrow screen. The links of a page from the root start in `docs/`."""
    if page.file.src_uri in ROOT_PAGES:
        markdown = markdown.replace("](docs/", "](")
    return EQUATION.sub(_equation, markdown)


def _equation(found: re.Match[str]) -> str:
    return f'<div style="overflow-x: auto">{convert(" ".join(found[1].split()), display="block")}</div>'
