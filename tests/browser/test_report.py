"""The page of a run in a real browser, opened as a double click opens it.

What is expected follows from make.py: in each of two rounds six pairs (four of descriptions, two of answers) and four
drops (two not settled, two contained), so 20 rows in all, 8 of them drops.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sena import files
from sena.report.side_by_side import compare
from sena.report.write import write_report
from sena.runs.folder import RunFolder
from tests.browser.driver import faults, find, press, requested, set_media, wait
from tests.hostile.test_report import HOSTILE, UNSEEN
from tests.report.make import LOOK, image, make_run, pairs, picture, row

pytestmark = pytest.mark.slow
WANTED = pairs(row(image(1, 1)))[1]
SCORES = {pair.id: (-10.0 - n, -20.0) for n, pair in enumerate(pairs(row(image(1, 1))) + pairs(row(image(2, 1))))}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    made = make_run(tmp_path_factory.mktemp("browser") / "run")
    evidence = files.read_json(made.round(2).evidence)
    alarm = {"name": "grounding", "text": "the picture adds 0.50 nats a token less to its own descriptions"}
    files.write_json(made.round(2).evidence, {**evidence, "alarms": [alarm]})
    write_report(made, picture, LOOK, SCORES)
    return made


@pytest.fixture
def page(browser: Any, run: RunFolder) -> Any:
    open_page(browser, run.report)
    return browser


def open_page(driver: Any, path: Path, part: str = "") -> None:
    driver.get("about:blank")
    driver.get_log("browser"), requested(driver)
    driver.get(f"{path.resolve().as_uri()}{part}")
    wait(driver, lambda d: "rows" in counted(d) or "row of" in counted(d))


def counted(driver: Any) -> str:
    return find(driver, "#count")[0].text


def shown(driver: Any) -> list[str]:
    return [each.get_attribute("id").removeprefix("row-") for each in find(driver, "#list article")]


def type_keys(driver: Any, keys: str) -> None:
    from selenium.webdriver import ActionChains

    ActionChains(driver).send_keys(keys).perform()


def test_it_loads_itself_alone_and_without_an_error(page: Any, run: RunFolder) -> None:
    assert counted(page) == "20 of 20 rows"
    assert [each for each in requested(page) if not each.startswith("data:")] == [run.report.resolve().as_uri()]
    assert page.get_log("browser") == []
    page.execute_script("for (const each of document.images) each.loading = 'eager'")
    decoded = "Promise.all([...document.images].map((each) => each.decode()))"
    assert (
        page.execute_async_script(f"{decoded}.then((all) => arguments[0](all.length))") == 3 + 2 * 12 + 8
    )  # those set aside, two a pair, one a drop


def test_its_policy_lets_no_other_script_run_and_nothing_load(page: Any) -> None:
    page.execute_script("""
        const add = (tag, properties) => document.body.append(Object.assign(document.createElement(tag), properties));
        add("script", {textContent: "document.title = 'taken'"});
        add("img", {src: "http://127.0.0.1:9/x.png"});
        document.body.setAttribute("onclick", "document.title = 'taken'");
        document.body.click();
    """)
    assert page.title != "taken"
    said = " ".join(entry["message"] for entry in page.get_log("browser"))
    assert "script-src" in said
    assert "img-src" in said


def test_search_finds_texts_and_ids(page: Any) -> None:
    find(page, "#words")[0].send_keys("KNIFE. what")  # only the answer's rejected text ends so: four pairs, four drops
    wait(page, lambda d: counted(d) == "8 of 20 rows")
    find(page, "#words")[0].clear()
    find(page, "#words")[0].send_keys(WANTED.id)
    wait(page, lambda d: counted(d) == "1 of 20 rows")
    assert shown(page) == [WANTED.id]
    press(page, "#reset", "Show all")
    wait(page, lambda d: counted(d) == "20 of 20 rows")
    assert find(page, "#words")[0].get_attribute("value") == ""


def test_facets_choose_and_count_what_else_could_be_chosen(page: Any) -> None:
    press(page, ".facet button", "dropped")
    wait(page, lambda d: counted(d) == "8 of 20 rows")
    assert [each.text for each in find(page, ".facet[aria-label=reason] button")] == [
        "contained (4)",
        "not settled (4)",
    ]
    press(page, ".facet button", "not settled")
    wait(page, lambda d: counted(d) == "4 of 20 rows")
    assert all("dropped by check: not settled" in each.text for each in find(page, "#list article"))
    active = page.execute_script("return document.activeElement.dataset.key")
    assert active == "reason=not settled"  # the keyboard stays where it was
    press(page, ".facet button", "not settled")
    wait(page, lambda d: counted(d) == "8 of 20 rows")


def test_a_reason_in_the_funnel_shows_its_rows(page: Any) -> None:
    press(page, "#funnel .lost a", "2 contained")
    wait(page, lambda d: counted(d) == "2 of 20 rows")
    assert all("round 1" in each.text and "contained" in each.text for each in find(page, "#list article"))
    assert "Show all" in find(page, "#reset")[0].text


def test_a_bar_filters_and_sorting_sorts(page: Any) -> None:
    bars = find(page, ".histogram[aria-label=margin] button")
    assert len(bars) == 12
    assert bars[-1].get_attribute("aria-label") == "margin 9.75 to 10: 1 rows"  # margins 10, 9, 8, 7
    bars[-1].click()
    wait(page, lambda d: counted(d) == "1 of 20 rows")
    page.get(page.current_url)
    wait(page, lambda d: counted(d) == "20 of 20 rows")
    from selenium.webdriver.support.ui import Select

    Select(find(page, "#sort")[0]).select_by_value("margin")
    wait(page, lambda d: "margin +7.0" in find(d, "#list article")[0].text)
    margins = [each.text.partition("margin +")[2][:4].strip() for each in find(page, "#list article")[:4]]
    assert margins == ["7.0", "8.0", "9.0", "10.0"]


def test_a_link_leads_to_one_row_and_keys_to_its_neighbours(browser: Any, run: RunFolder) -> None:
    open_page(browser, run.report, f"#row-{WANTED.id}")
    wait(browser, lambda d: find(d, "article.here"))
    assert find(browser, "article.here")[0].get_attribute("id") == f"row-{WANTED.id}"
    order = shown(browser)
    place = order.index(WANTED.id)
    for key, wanted in (("j", order[place + 1]), ("n", order[place + 2]), ("k", order[place + 1])):
        type_keys(browser, key)
        wait(browser, lambda d, wanted=wanted: d.current_url.endswith(f"#row-{wanted}"))
        assert browser.execute_script("return document.activeElement.id") == f"row-{wanted}"
    type_keys(browser, "/")
    assert browser.execute_script("return document.activeElement.id") == "words"
    open_page(browser, run.report, "#row-nosuch")
    wait(browser, lambda d: "There is no row nosuch here" in counted(d))


def test_all_rows_of_a_picture_stand_together(page: Any) -> None:
    find(page, f"#row-{WANTED.id} .foot button")[0].click()
    wait(page, lambda d: counted(d) == "2 of 20 rows")
    assert set(shown(page)) == {pair.id for pair in pairs(row(image(1, 1)))}


def test_words_that_differ_are_marked(page: Any) -> None:
    texts = find(page, f"#row-{WANTED.id} dd.chosen ins, #row-{WANTED.id} dd.rejected del")
    assert [each.text for each in texts] == ["Where", "What", " on", "red apple", "knife"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_it_fits_the_window_and_axe_finds_no_serious_fault(page: Any, width: int, theme: str) -> None:
    set_media(page, width, theme)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    page.execute_script("document.querySelectorAll('details').forEach((each) => { each.open = true })")
    assert faults(page) == []


def test_runs_compared_fit_the_window_too(browser: Any, run: RunFolder, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", rounds=1)
    path = compare([run.path, other.path], tmp_path / "compare.html")
    browser.get(path.as_uri())
    for width in (360, 1440):
        set_media(browser, width, "light")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert faults(browser) == []


TAKEN = "<script>document.title='taken'</script><img src=x onerror=document.title='taken'>"


@pytest.mark.parametrize("text", [*HOSTILE.values(), *UNSEEN.values(), TAKEN], ids=[*HOSTILE, *UNSEEN, "taken"])
def test_hostile_text_changes_nothing_but_itself(browser: Any, tmp_path: Path, text: str) -> None:
    hostile, harmless = (
        make_run(tmp_path / name, rounds=1, text=said) for name, said in (("hostile", f" {text}"), ("harmless", " x"))
    )
    seen = []
    for each in (harmless, hostile):
        open_page(browser, write_report(each, picture, LOOK))
        find(browser, "#words")[0].send_keys("what is on the table")
        wait(browser, lambda d: counted(d).endswith("of 10 rows") and not counted(d).startswith("10 "))
        kinds = (
            "return [...document.querySelectorAll('*')].map((each) => each.localName).filter((n) => !/ins|del/.test(n))"
        )
        seen.append((counted(browser), browser.execute_script(kinds), browser.title))
        assert [url for url in requested(browser) if not url.startswith(("data:", "file:", "about:"))] == []
        assert browser.get_log("browser") == []
    assert seen[0][:2] == seen[1][:2]
    assert browser.title == "hostile · sena"
    set_media(browser, 360, "light")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    set_media(browser, 1440, "light")
