"""The viewer in a real browser: the same page over the tables, live, with flags."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sena.runs.folder import RunFolder
from sena.view import flags, server
from tests.browser.driver import faults, find, free_port, press, requested, wait
from tests.browser.test_report import counted, shown
from tests.hostile.test_report import HOSTILE
from tests.report.make import make_round
from tests.view.make import WANTED, desk_of, referenced_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return referenced_run(tmp_path_factory.mktemp("view") / "run", text=f" {HOSTILE['closing']}")


@pytest.fixture(scope="module")
def address(run: RunFolder) -> Iterator[str]:
    import uvicorn

    port = free_port()
    app: Any = server.build(desk_of(run), port)
    serving = uvicorn.Server(uvicorn.Config(app, host=server.HOST, port=port, log_level="warning"))
    thread = threading.Thread(target=serving.run)
    thread.start()
    while not serving.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}/"
    serving.should_exit = True
    thread.join()


@pytest.fixture
def page(browser: Any, address: str) -> Any:
    browser.get("about:blank")
    browser.get_log("browser"), requested(browser)
    browser.get(address)
    wait(browser, lambda d: counted(d).endswith("rows"))
    return browser


def test_it_asks_its_own_server_alone_and_shows_all_rows(page: Any, address: str) -> None:
    assert counted(page) == "20 of 20 rows"
    assert [url for url in requested(page) if not url.startswith((address, "data:"))] == []
    assert page.get_log("browser") == []
    assert faults(page) == []


def test_search_facets_bars_and_keys_work_as_in_the_page(page: Any) -> None:
    press(page, ".facet button", "dropped")
    wait(page, lambda d: counted(d) == "8 of 20 rows")
    press(page, ".facet button", "contained")
    wait(page, lambda d: counted(d) == "4 of 20 rows")
    press(page, "#reset", "Show all")
    wait(page, lambda d: counted(d) == "20 of 20 rows")
    bars = find(page, ".histogram[aria-label=margin] button")
    assert bars[-1].get_attribute("aria-label") == "margin 9.75 to 10: 1 rows"
    bars[-1].click()
    wait(page, lambda d: counted(d) == "1 of 20 rows")
    press(page, "#reset", "Show all")
    wait(page, lambda d: counted(d) == "20 of 20 rows")
    find(page, "#words")[0].send_keys(WANTED.id)
    wait(page, lambda d: counted(d) == "1 of 20 rows")
    assert shown(page) == [WANTED.id]


def test_a_flag_is_set_kept_and_seen_again(page: Any, address: str, run: RunFolder) -> None:
    page.get(f"{address}#row-{WANTED.id}")
    page.refresh()
    wait(page, lambda d: find(d, "article.here"))
    press(page, "article.here .flag")
    wait(page, lambda d: find(d, "article.here .flag")[0].get_attribute("aria-pressed") == "true")
    assert [json.loads(line)["id"] for line in flags.path_of(run).read_text().splitlines()] == [WANTED.id]
    press(page, ".facet button", "yes (1)")
    wait(page, lambda d: counted(d) == "1 of 20 rows")
    assert shown(page) == [WANTED.id]
    assert find(page, ".search a[download]")[0].text == "Flagged rows (JSONL)"
    page.refresh()
    wait(page, lambda d: find(d, "article.here"))
    assert find(page, "article.here .flag")[0].get_attribute("aria-pressed") == "true"


def test_what_a_run_adds_meanwhile_is_offered(page: Any, run: RunFolder) -> None:
    find(page, "#words")[0].send_keys("knife")  # somebody who reads is not interrupted
    make_round(run, 3, shards_done=1)
    wait(page, lambda d: find(d, "#news")[0].is_displayed())
    press(page, "#news a")
    wait(page, lambda d: counted(d) == "25 of 25 rows")


def test_another_site_cannot_read_it(browser: Any, address: str, tmp_path: Path) -> None:
    (tmp_path / "other.html").write_text("<title>other</title>")
    browser.get((tmp_path / "other.html").as_uri())
    script = f"fetch('{address}rows').then((r) => r.text()).then(arguments[0], () => arguments[0]('refused'))"
    assert browser.execute_async_script(script) == "refused"
