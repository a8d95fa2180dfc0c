"""The page on benchmarks knows every one of them, and their files."""

from __future__ import annotations

from sena.recipes.names import suites
from tests.architecture.source import ROOT


def test_the_page_names_every_benchmark_and_folder() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    for name, (about, _) in suites().items():
        assert f"`{name}`" in page
        for path, _ in about.files:
            assert f"{path.split('/')[0]}/" in page
