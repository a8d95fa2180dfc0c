"""The page in a real headless browser: examples, answers side by side, nothing fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sena
from sena.serve import gallery, web
from tests.browser.driver import find, free_port, open_browser, press, requested, wait
from tests.serve.make import finished_run

HOSTILE = "<img src=x onerror=\"document.title='taken'\"> **bold** \x1b[31mred"


@pytest.fixture
def browser() -> Iterator[Any]:
    driver = open_browser()
    yield driver
    driver.quit()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The page of a run of two rounds, served."""
    run = str(finished_run(tmp_path / "run", rounds=2).path)
    (tmp_path / "page").mkdir()
    page, port = web.build(run, gallery.voices(run), gallery.examples(run), tmp_path / "page"), free_port()
    web.launch(page, port)
    yield f"http://127.0.0.1:{port}/"
    page.close()


def said(driver: Any) -> list[str]:
    return [box.get_attribute("value") for box in find(driver, ".answer textarea")]


def ask_first_example(driver: Any, address: str) -> None:
    driver.get(address)
    wait(driver, lambda d: find(d, "tr.tr-body") and find(d, "#ask"))
    press(driver, "tr.tr-body")
    wait(driver, lambda d: find(d, "#picture img") and find(d, "#question textarea")[0].get_attribute("value"))
    press(driver, "#ask")


@pytest.mark.slow
def test_pick_a_picture_ask_and_see_the_answers_side_by_side(browser: Any, address: str, tmp_path: Path) -> None:
    ask_first_example(browser, address)
    wait(browser, lambda d: said(d)[0] and said(d)[0] != "..." and said(d)[2] and said(d)[2] != "...")
    assert "The miniature knows pictures of its own world" in browser.page_source
    example = gallery.examples(str(tmp_path / "run"))[0]
    wanted = sena.load("mini").ask(example.picture, example.question)
    wait(browser, lambda d: said(d) == [wanted, "", wanted])  # round 1 has no tick
    labels = [label.text for label in find(browser, ".answer label > span")]
    assert labels == ["base", "round 1", "round 2"]
    asked = requested(browser)
    assert len(asked) > 10
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    assert browser.get_log("browser") == []


@pytest.mark.slow
def test_a_models_words_are_shown_as_words(browser: Any, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.Conversation, "say", lambda self, text: iter([HOSTILE]))
    ask_first_example(browser, address)
    wait(browser, lambda d: said(d)[2] not in ("", "..."))
    assert said(browser)[0] == HOSTILE.replace("\x1b[31m", "")
    assert find(browser, "img[src=x]") == []
    assert browser.title != "taken"


@pytest.mark.slow
def test_a_file_that_is_no_picture_is_told(browser: Any, address: str, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing else")
    browser.get(address)
    wait(browser, lambda d: find(d, "#picture input[type=file]"))
    find(browser, "#picture input[type=file]")[0].send_keys(str(tmp_path / "bad.png"))
    wait(browser, lambda d: find(d, "#picture img"))
    find(browser, "#question textarea")[0].send_keys("What is this?")
    press(browser, "#ask")
    wait(browser, lambda d: "cannot be used as a picture: damaged" in find(d, "body")[0].text)
    assert said(browser) == ["", "", ""]


def test_a_run_brings_its_models_and_its_pictures(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", rounds=2)
    found = gallery.voices(str(run.path))
    assert [voice.label for voice in found] == ["base", "round 1", "round 2"]
    assert found[2].model == str(run.round(2).model)
    examples = gallery.examples(str(run.path))
    assert [each.picture.size for each in examples] == [(48, 48)] * 4
    assert len({each.question for each in examples}) == 2


def test_the_model_unused_for_longest_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(web, "load", lambda name: loaded.append(name) or name)
    shelf = web.Shelf()
    for name in ("a", "b", "a", "c", "a", "b"):
        assert shelf.get(name) == name
    assert loaded == ["a", "b", "c", "b"]
    assert list(shelf.kept) == ["a", "b"]
