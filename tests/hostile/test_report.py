"""Model text, file names and figures that want to be more than text: on the page and in the terminal they stay text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from sena import files
from sena.report.show import story, tables
from sena.report.write import write_report
from tests.report.make import LOOK, figures, image, make_run, picture, row
from tests.report.test_write import Page

LONG = "W" * 10_000
HOSTILE = {
    "script": "<script>alert(1)</script>",
    "closing": "</script></style></svg></title>--><img src=x onerror=alert(1)>",
    "comment": "--></style><!-- ]]>",
    "quotes": "\"' onmouseover='alert(1)' \"><b>`",
    "template": "{{ 7 * 7 }}{% raw %}{# no #}${x}",
    "entity": "&lt;script&gt;&#60;",
    "address": "<a href=javascript:alert(1)> https://example.org/x.png",
    "markup": "[bold red]x[/] [link=file:///]y[/link]",
    "long": LONG,
}
UNSEEN = {
    "bidi": "\u202e\u2066\u200fabc\u2069",
    "ansi": "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "controls": "a\x00b\x08c\x7fd\x9b31me",
    "surrogate-free odd marks": "\ufeff\u200b\u2028x\u2029",
}


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(write_report(make_run(tmp_path_factory.mktemp("harmless") / "one", 1, " x"), picture, LOOK).read_text())


@pytest.mark.parametrize("text", [*HOSTILE.values(), *UNSEEN.values()], ids=[*HOSTILE, *UNSEEN])
def test_the_page_has_the_elements_of_a_harmless_run(tmp_path: Path, harmless: Page, text: str) -> None:
    """The same elements as with harmless text, but for ins and del, which follow the words themselves."""
    hostile = Page(write_report(make_run(tmp_path / "one", 1, f" {text}"), picture, LOOK).read_text())
    assert not hostile.open
    marks = ("ins", "del")
    kinds = [[name for name, _ in page.elements if name not in marks] for page in (hostile, harmless)]
    assert kinds[0] == kinds[1]
    for name, attributes in hostile.elements:
        assert not [key for key in attributes if key.startswith("on")], name
        assert "javascript:" not in (attributes.get("href") or "")


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "long"])
def test_every_character_is_there_to_be_read(tmp_path: Path, name: str) -> None:
    page = Page(write_report(make_run(tmp_path / "run", 1, f" {HOSTILE[name]}"), picture, LOOK).read_text())
    shown = ["".join(text for _, text in pieces) for each in page.rows for _, _, pieces in each["texts"]]
    assert f"What is on the table? {HOSTILE[name]}" in shown
    assert f"said {HOSTILE[name]}" in page.text


@pytest.mark.parametrize("text", UNSEEN.values(), ids=UNSEEN)
def test_no_control_character_reaches_the_page(tmp_path: Path, text: str) -> None:
    html = write_report(make_run(tmp_path / "run", 1, text), picture, LOOK).read_text()
    assert not [c for c in html if c in "\x00\x07\x08\x1b\x7f\x9b\u200b\u200f\u202e\u2028\u2066\u2069\ufeff"]


def test_long_words_are_cut_and_the_page_stays_small(tmp_path: Path) -> None:
    path = write_report(make_run(tmp_path / "run", 2, LONG), picture, LOOK)
    html = path.read_text()
    assert "more characters)" in html
    assert html.count(LONG) == 1  # the recipe, which is the user's own
    assert path.stat().st_size < 5_000_000
    assert "overflow-wrap: anywhere" in html


def test_a_long_text_of_markup_keeps_the_page_below_its_limit(tmp_path: Path) -> None:
    path = write_report(make_run(tmp_path / "run", 3, " <&\"'" * 20_000), picture, LOOK)
    assert path.stat().st_size < 25_000_000


def test_names_of_metrics_reasons_and_runs_are_text_too(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a'\"><script>x", 1)
    evil = "</svg><script>alert(1)</script>"
    for number in (0, 1):
        found = figures(number, number > 0)
        for part in found.values():
            part[evil] = part["vqa"]
        files.write_json(run.round(number).evidence, {"round": number, "benchmarks": {"mini": found}})
    funnel = files.read_json(run.round(1).funnel)
    files.write_json(run.round(1).funnel, {**funnel, "dropped": {evil: {evil: 3}}, "pairs_by_kind": {evil: 1}})
    with open(run.metrics, "a") as handle:
        handle.write('{"round": "</svg><script>", "stage": "train", "step": 1, "loss/dpo": 0.5}\n')
    page = Page(write_report(run, picture, LOOK).read_text())
    assert not page.open
    assert [each.get("type") for each in page.all("script")] == ["application/json", None]
    assert evil in page.text


def test_the_terminal_gets_text_only(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", 1, "".join([*UNSEEN.values(), HOSTILE["markup"]]))
    console = Console(width=200, file=open(tmp_path / "out", "w"), force_terminal=False)  # noqa: SIM115
    console.print(story(run, image(1, 1).id))
    console.print(story(run, row(replace(image(1, 1))).id))
    for table in tables(run):
        console.print(table)
    console.file.close()
    said = (tmp_path / "out").read_text()
    assert "[bold red]x[/]" in said
    assert not [c for c in said if c in "\x00\x07\x08\x1b\x7f\x9b\u200b\u200f\u202e\u2028\u2066\u2069\ufeff"]
