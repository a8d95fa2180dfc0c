"""The page of a run, whole and in the middle of things."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from sena import files
from sena.errors import SenaError
from sena.report import write
from sena.report.picture import metrics_picture
from sena.report.write import write_report
from sena.runs.folder import create_run
from sena.runs.metrics import read_metrics
from tests.report.make import LOOK, image, make_round, make_run, pairs, picture, row

VOID = {"meta", "img", "br", "hr", "link", "input", "source"}


class Page(HTMLParser):
    """A page taken apart: elements with attributes, text, and whether every element is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.data = "", ""
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script" and self.all("script")[-1].get("id") == "data":
            self.data += data
        elif not {"style", "script"} & set(self.open):
            self.text += data

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What the page's script shows, row by row."""
        return json.loads(self.data)["entries"]

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(run, *arguments) -> Page:
    return Page(write_report(run, *arguments).read_text())


def words_of(page: Page) -> str:
    return " ".join(page.text.split())


def test_the_page_tells_evidence_costs_losses_funnel_and_pairs(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    wanted = pairs(row(image(1, 1)))[1]
    page = page_of(run, picture, LOOK, {wanted.id: (-12.5, -20.0)})
    assert not page.open
    words = " ".join(page.text.split())
    for text in (
        "After round 2 the model hallucinates less, but is worse at short questions.",
        "CHAIR_i fell from 0.080 to 0.045 (-0.035, 95 % interval -0.045 to -0.025).",
        "4 not settled",  # two a round
        "6 images drawn",
        "8 pairs formed (a row becomes up to two",  # four rows
        "6 pairs kept",
        "Share of mentioned things that are not in the picture (CHAIR_i): 8.0 % before, 4.5 % now.",
        "1 min 00 s",  # 20 + 10 seconds a round
        "2.0 GB",
        "0.30",  # 12 pairs in 40 seconds
        "reward margin",
    ):
        assert text in words, text
    assert run.report.stat().st_size < 5_000_000


def test_the_page_carries_pairs_and_drops_with_their_pictures(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    wanted = pairs(row(image(1, 1)))[1]
    page = page_of(run, picture, LOOK, {wanted.id: (-12.5, -20.0)})
    assert [(each["what"], each["round"]) for each in page.rows] == [
        *([("pair", 2)] * 6 + [("drop", 2)] * 4),
        *([("pair", 1)] * 6 + [("drop", 1)] * 4),
    ]
    shown = next(each for each in page.rows if each["id"] == wanted.id)
    texts = {label: (mark, pieces) for label, mark, pieces in shown["texts"]}
    assert texts["asked first"] == ("rejected", [[True, "Where"], [False, " is"], [False, " the table?"]])
    settled = [[True, "What"], [False, " is"], [True, " on"], [False, " the table?"]]
    assert texts["settled question"] == ("chosen", settled)
    assert texts["chosen, enhanced"] == ("chosen", [[False, "A "], [True, "red apple"], [False, "."]])
    assert texts["rejected"] == ("rejected", [[False, "A "], [True, "knife"], [False, "."]])
    assert shown["facets"] == {
        "kept": "pair",
        "round": "1",
        "kind": "answer",
        "spoiled by": "diffusion",
        "enhanced": "changed",
        "question": "changed by the check",
    }
    lengths = {"length of chosen": 12, "length of rejected": 8}
    assert shown["numbers"] == {**lengths, "margin": 7.5, "chosen log-probability": -12.5}
    assert shown["notes"] == ["log-probability under the reference, in nats: chosen -12.5, rejected -20.0, margin +7.5"]
    known = json.loads(page.data)["pictures"]
    for each in page.rows:
        for key in [each["clean"], each["spoiled"]] if each["what"] == "pair" else [each["clean"]]:
            assert known[key]["uri"].startswith("data:image/png;base64,")


def test_a_drop_tells_what_was_said_before_it(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "run", rounds=1), picture, LOOK)
    unsettled = next(each for each in page.rows if each["facets"].get("reason") == "not settled")
    assert unsettled["notes"] == ["3 tries"]
    assert [label for label, _, _ in unsettled["texts"]] == ["asked", "said in question"]
    assert unsettled["texts"][1][2] == [[False, "Ask.\n→ QUESTION: Where is the table?"]]


def test_the_page_loads_nothing_and_runs_nothing_but_its_own_script(tmp_path: Path) -> None:
    html = write_report(make_run(tmp_path / "run"), picture, LOOK).read_text()
    page = Page(html)
    assert not {name for name, _ in page.elements} & {"link", "iframe", "object", "form"}
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href", "action"):
            assert not re.match(r"\s*(https?:|//|javascript:)", attributes.get(name) or "")
    assert "url(" not in html
    assert "@import" not in html
    policy = page.all("meta")[1]
    assert policy["http-equiv"] == "Content-Security-Policy"
    [script] = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy["content"] == (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data: file: 'self'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(", script)


def test_the_page_can_be_used_by_keyboard_and_by_ear(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "run"), picture, LOOK)
    anchors = {attributes.get("id") for _, attributes in page.elements}
    targets = [str(each["href"]) for each in page.all("a") if str(each["href"]).startswith("#")]
    assert targets
    assert {target[1:] for target in targets} <= anchors
    assert all(each.get("aria-label") for each in page.all("svg"))
    ids = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))


def test_equal_runs_give_equal_pages(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    first = write_report(run, picture, LOOK).read_bytes()
    assert write_report(run, picture, LOOK).read_bytes() == first


def test_without_pictures_the_page_says_why(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "run"))
    assert not page.all("img")
    known = json.loads(page.data)["pictures"].values()
    assert {each["reason"] for each in known} == {
        "pictures were not at hand when this page was written", "how the model sees pictures is not known here"
    }  # fmt: skip


def test_what_is_watched_without_labels_is_told_with_its_meaning(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "run"), picture, LOOK)
    words = words_of(page)
    assert "nobody says what is on them" in words
    assert "nats a token that the picture adds to its own description, against no picture" in words
    assert "1.600" in words
    assert len(page.all("img")) == 3  # those set aside; all other pictures are shown by the script
    for number in range(3):
        assert words.count(f"round {number} said") == 3
    assert "No alarm: length, grounding" in words


def test_an_alarm_is_on_the_first_screen_with_its_meaning_below(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    found = files.read_json(run.round(2).evidence)
    alarm = {"name": "duplicates", "text": "descriptions that another picture gets too rose by 40%"}
    files.write_json(run.round(2).evidence, {**found, "alarms": [alarm]})
    files.write_json(run.result, {"round": 1})
    words = words_of(page_of(run))
    before = words.index("Alarm after round 2: descriptions that another picture gets too rose by 40%")
    assert before < words.index("1 min 00 s")
    assert "The run went back: it stands by the model of round 1." in words
    assert "It describes different pictures alike." in words
    assert "No alarm" not in words


def test_why_a_run_stopped_is_on_the_first_screen(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", rounds=1)
    files.write_text(run.recipe, "run: {rounds: 3}\n")
    assert "1 of 3 rounds done" in words_of(page_of(run))
    assert "Stopped" not in words_of(page_of(run))
    why = "Round 2 kept no pair </p><script>alert(1)</script>\x1b[31m: loosen the filters"
    files.write_json(run.stopped, {"why": why})
    page = page_of(run)
    assert not page.open
    assert len(page.all("script")) == 2
    shown = "Stopped after 1 of 3 rounds: Round 2 kept no pair </p><script>alert(1)</script>: loosen the filters"
    assert words_of(page).index(shown) < words_of(page).index("time at work")


def test_a_run_that_ends_at_an_alarm_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", rounds=1)
    files.write_text(run.recipe, "run: {rounds: 3}\neval: {on_regression: stop}\n")
    assert "Stopped" not in words_of(page_of(run))
    found = files.read_json(run.round(1).evidence)
    files.write_json(run.round(1).evidence, {**found, "alarms": [{"name": "length", "text": "too long"}]})
    assert "Stopped after 1 of 3 rounds: the last round gave alarm" in words_of(page_of(run))


def test_pairs_of_a_file_are_told_as_such(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", rounds=1)
    files.write_json(run.round(1).path / "imported.json", {"file": "pairs.jsonl", "sha256": "0", "layout": "trl"})
    words = words_of(page_of(run))
    assert "they come from the file pairs.jsonl, in the layout of trl" in words
    assert "questions settled" not in words


def test_pictures_without_room_lie_beside_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "run", rounds=1)
    monkeypatch.setattr(write, "PICTURE_BYTES", 0)
    page = page_of(run, picture, LOOK)
    addresses = [str(each["src"]) for each in page.all("img")]
    addresses += [each["uri"] for each in json.loads(page.data)["pictures"].values()]
    assert len(addresses) > 12
    assert all((run.path / address).is_file() and address.startswith("report-pictures/") for address in addresses)


def test_without_a_benchmark_nothing_is_claimed(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "run", evidence=False), picture, LOOK)
    assert "was not measured: the run has no benchmark" in page.text
    assert "On your own pictures no truth is known" in page.text
    assert "hallucinates" not in page.text


def test_a_run_in_the_middle_of_its_first_round(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", rounds=1)
    for name in ("questions", "answers", "pairs", "drops", "replies"):
        run.round(1).table(name).unlink()
    run.round(1).funnel.unlink()
    run.round(1).evidence.unlink()
    (run.round(1).shard(1) / "manifest.json").unlink()
    page = page_of(run, picture, LOOK)
    words = " ".join(page.text.split())
    assert "So far only the base model was measured" in words
    assert "(still at work)" in words
    assert "3 of 3 pairs and 2 of 2 drops are in this page" in words


def test_a_run_that_has_only_begun(tmp_path: Path) -> None:
    run = create_run(tmp_path / "run", "model: {name: mini}\n", {})
    page = page_of(run)
    assert "Nothing has been measured yet." in page.text
    assert "No round has begun." in page.text
    (run.round(1).path / "shards").mkdir(parents=True)
    assert "No image has been drawn yet." in page_of(run).text


def test_costs_and_figures_of_one_stage_are_read_as_one(tmp_path: Path) -> None:
    """A stage logs its cost and its figures in two lines of one key; after a resume the last value counts."""
    path = tmp_path / "metrics.jsonl"
    path.write_text(
        '{"round": 1, "stage": "reference", "step": 0, "seconds": 9.0, "count": 4}\n'
        '{"round": 1, "stage": "reference", "step": 0, "already_preferred": 0.75}\n'
        '{"round": 1, "stage": "reference", "step": 0, "seconds": 5.0}\n'
        '{"stage": "train"}\n[1]\n{"round": 1, "stage": "train", "st'
    )
    assert read_metrics(path) == [
        {"round": 1, "stage": "reference", "step": 0, "seconds": 5.0, "count": 4, "already_preferred": 0.75}
    ]
    assert read_metrics(tmp_path / "none") == []


def test_the_share_that_the_reference_prefers_is_told(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", rounds=1)
    with open(run.metrics, "a") as handle:
        handle.write('{"round": 1, "stage": "reference", "step": 0, "already_preferred": 0.75}\n')
    assert "the higher log-probability in 75 % of the pairs" in " ".join(page_of(run).text.split())


def test_a_page_that_grows_too_large_shows_fewer_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "run", rounds=1)
    whole = write_report(run).stat().st_size
    monkeypatch.setattr(write, "MOST_BYTES", whole - 1)
    monkeypatch.setattr(write, "PAIRS_A_ROUND", (300, 2))
    assert "2 of 6 pairs and 4 of 4 drops are in this page; all of them: sena view" in words_of(page_of(run))


def test_many_rounds_share_the_room(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", rounds=1)
    for number in range(2, 31):
        make_round(run, number, shards_done=1)
    page = page_of(run, picture, LOOK)
    assert len(page.rows) == 30 * 6 + 29 * 2 + 4 - 29 * 3
    assert run.report.stat().st_size < 5_000_000


def test_the_picture_of_the_metrics(tmp_path: Path) -> None:
    svg, png = metrics_picture(make_run(tmp_path / "run"))
    assert svg.startswith("<svg")
    assert "CHAIR_i" in svg
    assert "var(" not in svg
    assert png.startswith(b"\x89PNG")
    with pytest.raises(SenaError, match="no metrics to draw"):
        metrics_picture(make_run(tmp_path / "bare", evidence=False))


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "run", rounds=1)
    old = write_report(run).read_bytes()

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_write", full)
    with pytest.raises(SenaError, match="No space left"):
        write_report(run)
    assert run.report.read_bytes() == old
