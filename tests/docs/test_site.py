"""The site builds without a warning, loads nothing from other hosts, and its equations are MathML."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import ROOT
from tests.docs.page import DOCS, blocks
from tests.serve.test_web import find, open_browser, wait


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with warnings as errors: pages that no menu names, links and anchors that lead nowhere."""
    place = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(place)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(build, cwd=ROOT, env=quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return place


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    """Links that a reader may follow are no loads; scripts, styles, pictures and fonts are."""
    loads = re.compile(
        r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?(?:https?:)?//|<link\b[^>]*href=\"?(?:https?:)?//"
    )
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    assert {page.name: loads.findall(page.read_text()) for page in pages if loads.search(page.read_text())} == {}
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert re.findall(r"url\([\"']?(?:https?:)?//[^)]*|@import", styles) == []


def test_equations_are_mathml(site: Path) -> None:
    written = len(blocks(DOCS / "method.md", "math"))
    page = (site / "method.html").read_text()
    assert written >= 3
    assert page.count("<math ") == page.count("</math>") == written
    assert "\\frac" not in page


def test_pages_from_the_root_are_there(site: Path) -> None:
    assert "How a change is proved" in (site / "contributing.html").read_text()
    assert "sena evolve" in (site / "changelog.html").read_text()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_in_a_browser_it_asks_its_own_host_only_and_search_finds(address: str) -> None:
    """Search is a worker that reads an index: `log_constant`, say, stands on the page of recipe keys."""
    driver = open_browser()
    try:
        driver.get(f"{address}method.html")
        wait(driver, lambda d: find(d, "math"))
        driver.execute_script("document.querySelector('#__search').click()")
        find(driver, ".md-search__input")[0].send_keys("warmup_log_constant")
        wait(driver, lambda d: "recipe" in " ".join(a.get_attribute("href") for a in find(d, ".md-search-result a")))
        events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
        asked = [each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"]
        assert len(asked) > 4
        assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
        assert driver.get_log("browser") == []
    finally:
        driver.quit()


@pytest.mark.slow
def test_no_page_is_wider_than_a_telephone(site: Path, address: str) -> None:
    """360 pixels: tables, code and equations that are wider are scrolled by themselves."""
    driver = open_browser()
    try:
        narrow = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", narrow)
        widths: dict[str, int] = {}
        for page in sorted(site.rglob("*.html")):
            name = page.relative_to(site).as_posix()
            driver.get(f"{address}{name}")
            widths[name] = driver.execute_script("return document.documentElement.scrollWidth")
        assert {name: width for name, width in widths.items() if width > 360} == {}
    finally:
        driver.quit()
