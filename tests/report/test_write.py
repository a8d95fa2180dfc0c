"""The page of a run, whole and in the middle of things."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

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
        self.text = ""
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
        if "style" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(run, *arguments) -> Page:
    return Page(write_report(run, *arguments).read_text())


def test_the_page_tells_evidence_costs_losses_funnel_and_pairs(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    wanted = pairs(row(image(1, 1)))[1]
    page = page_of(run, picture, LOOK, {wanted.id: (-12.5, -20.0)})
    assert not page.open
    words = " ".join(page.text.split())
    for text in (
        "After round 2 the model hallucinates less, but lost in short answers.",
        "CHAIR_i fell from 0.080 to 0.045 (95 % interval of the paired difference -0.045 to -0.025).",
        "4 not settled",  # two a round
        "6 images drawn",
        "6 pairs kept",
        "chosen -12.5, rejected -20.0, margin +7.5",
        f"sena show {run.path} --id {wanted.id}",
        "1 min 00 s",  # 20 + 10 seconds a round
        "2.0 GB",
        "0.30",  # 12 pairs in 40 seconds
        "Where is the table?",
        "reward margin",
    ):
        assert text in words, text
    pictures = page.all("img")
    assert len(pictures) == 2 * 12
    assert all((each["src"] or "").startswith("data:image/png;base64,") and each["alt"] for each in pictures)
    assert run.report.stat().st_size < 5_000_000


def test_the_page_loads_nothing_and_runs_nothing(tmp_path: Path) -> None:
    html = write_report(make_run(tmp_path / "run"), picture, LOOK).read_text()
    page = Page(html)
    assert not {name for name, _ in page.elements} & {"script", "link", "iframe", "object", "form"}
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href", "action"):
            assert not re.match(r"\s*(https?:|//|javascript:)", attributes.get(name) or "")
    assert "url(" not in html
    assert "@import" not in html
    policy = page.all("meta")[1]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert (policy["content"] or "").startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")


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
    assert "pictures were not at hand when this page was written" in page.text


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
    assert "3 of 3 pairs" in words


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
    assert "2 of 6 pairs" in " ".join(page_of(run).text.split())


def test_many_rounds_share_the_room(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", rounds=1)
    for number in range(2, 31):
        make_round(run, number, shards_done=1)
    page = page_of(run, picture, LOOK)
    assert len(page.all("article")) <= 240
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
