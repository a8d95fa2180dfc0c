"""What `sena show` prints.

Expected counts: a round of six images in two shards, see make.py: in each shard one of three rows is not settled and
one of the four pairs of the other two is dropped, so 6 images, 4 questions, 6 pairs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from sena.data.run_stage import Said
from sena.errors import SenaError
from sena.report.read import turn
from sena.report.show import notes, story, summary, tables
from tests.report.make import image, make_round, make_run, pairs, row


def printed(*things: object) -> str:
    console = Console(width=140, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
    for thing in things:
        console.print(thing)
    return console.export_text()


def test_summary_has_exactly_these_keys(tmp_path: Path) -> None:
    found = summary(make_run(tmp_path / "run"))
    assert list(found) == ["rounds"]
    assert [each["round"] for each in found["rounds"]] == [0, 1, 2]
    for each in found["rounds"]:
        assert list(each) == ["round", "metrics", "rows"]
        assert set(each["metrics"]) == {"chair_i", "coverage", "vqa", "length"}
        assert all(set(figure) == {"value", "low", "high", "n"} for figure in each["metrics"].values())
    assert found["rounds"][0]["rows"] == {}
    rows = found["rounds"][1]["rows"]
    assert (rows["images"], rows["questions"], rows["answers"], rows["pairs"]) == (6, 4, 4, 6)
    assert rows["dropped"] == {"check": {"not settled": 2}, "filter": {"contained": 2}}
    json.dumps(found, allow_nan=False)


def test_summary_without_evidence_still_begins_with_the_base(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", rounds=1)
    for each in run.rounds():
        each.evidence.unlink()
    found = summary(run)["rounds"]
    assert [(each["round"], each["metrics"]) for each in found] == [(0, {}), (1, {})]


def test_a_round_at_work_counts_the_shards_that_are_whole(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", rounds=1)
    make_round(run, 2, shards_done=1)
    rows = summary(run)["rounds"][2]["rows"]
    assert (rows["images"], rows["questions"], rows["pairs"]) == (6, 2, 3)
    assert "round 2 (at work)" in printed(*tables(run))


def test_two_benchmarks_with_one_name_keep_both_figures(tmp_path: Path) -> None:
    from sena import files

    run = make_run(tmp_path / "run", rounds=1)
    one, two = {"value": 0.1, "low": 0.0, "high": 0.2, "n": 5.0}, {"value": 0.5, "low": 0.4, "high": 0.6, "n": 5.0}
    benchmarks = {"mini": {"metrics": {"vqa": one}}, "other": {"metrics": {"vqa": two, "new": two, "new/part": one}}}
    files.write_json(run.round(0).evidence, {"round": 0, "benchmarks": benchmarks})
    assert summary(run)["rounds"][0]["metrics"] == {"vqa": one, "other/vqa": two, "other/new": two}


def test_tables_tell_rows_metrics_and_arrows(tmp_path: Path) -> None:
    text = printed(*tables(make_run(tmp_path / "run")))
    assert "dropped by check: not settled" in text
    assert "images skipped when drawing" in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "chair_i ↓ 0.080 0.062 0.045 better, -0.045 to -0.025" in lines
    assert "coverage ↑ 0.900 0.898 0.896 = -0.016 to +0.008" in lines
    assert "grounding ↑ 1.800 1.700 1.600 worse, -0.220 to -0.180" in lines


def test_the_tables_fit_a_narrow_terminal(tmp_path: Path) -> None:
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    for table in tables(make_run(tmp_path / "run", rounds=3)):
        console.print(table)
    text = console.export_text()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "better, -0.045 to -0.025" in text  # on one line, uncut
    assert "…" not in text


def test_alarms_and_imported_pairs_are_told(tmp_path: Path) -> None:
    from sena import files

    run = make_run(tmp_path / "run", rounds=1)
    found = files.read_json(run.round(1).evidence)
    files.write_json(run.round(1).evidence, {**found, "alarms": [{"name": "length", "text": "too \x1b[31mlong"}]})
    files.write_json(run.round(1).path / "imported.json", {"file": "my.jsonl", "sha256": "0", "layout": "trl"})
    files.write_json(run.stopped, {"why": "no \x1b[31mroom"})
    files.write_text(run.recipe, "run: {rounds: 2}\n")
    assert [each.plain for each in notes(run)] == [
        "Stopped after 1 of 2 rounds: no room",
        "Alarm after round 1: too long",
        "The pairs of round 1 come from my.jsonl (trl).",
    ]
    text = printed(*tables(run))
    assert "questions settled" not in text
    assert "pairs" in text


def test_a_run_that_has_done_nothing_has_no_tables(tmp_path: Path) -> None:
    assert tables(make_run(tmp_path / "run", rounds=1, evidence=False))
    bare = make_run(tmp_path / "bare", rounds=1, evidence=False)
    for name in ("round-0", "round-1"):
        for path in sorted((bare.path / name).rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
    assert tables(bare) == []


def test_the_story_of_a_pair_tells_its_whole_row(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    one = row(image(1, 1))
    of_pair, of_row = (printed(story(run, wanted)) for wanted in (pairs(one)[1].id, one.id))
    for text in (of_pair, of_row):
        assert one.image_id in text
        assert "raw reply: QUESTION: Where is the table?" in text
        assert "tried 1: Where is the table?" in text
        assert "rejected answer: A knife." in text
    assert pairs(one)[1].id in of_pair


def test_the_story_tells_log_probabilities_where_the_reference_is_whole(tmp_path: Path) -> None:
    from tests.view.make import WANTED, referenced_run

    run = referenced_run(tmp_path / "run")
    assert "under the reference: chosen -11.00, rejected -20.00 nats" in printed(story(run, WANTED.id))
    (run.round(1).reference / "manifest.json").unlink()
    assert "under the reference" not in printed(story(run, WANTED.id))


def test_replies_are_told_in_the_order_of_the_stages() -> None:
    said = [
        Said(f"r/{stage}/{attempt}/x", "i", stage, "", "", True, 1)
        for stage, attempt in [("answer", 0), ("check", 10), ("check", 2), ("a later stage", 0), ("question", 0)]
    ]
    assert [reply.id for reply in sorted(said, key=turn)] == [
        "r/question/0/x", "r/check/2/x", "r/check/10/x", "r/answer/0/x", "r/a later stage/0/x",
    ]  # fmt: skip


def test_the_story_of_what_was_dropped_names_stage_and_reason(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    drops = _drops(run)
    unsettled = next(drop for drop in drops if drop.kind == "row")
    filtered = next(drop for drop in drops if drop.kind == "answer")
    assert "dropped by check: not settled: 3 tries" in printed(story(run, unsettled.id))
    told = printed(story(run, filtered.id))
    assert "dropped by filter: contained" in told
    assert "question: What is on the table?" in told
    assert "dropped by" in printed(story(run, unsettled.image_id))


def _drops(run) -> list:
    from sena.data.run_stage import Dropped
    from sena.runs import tables as parquet

    return parquet.read(run.round(1).table("drops"), Dropped)


def test_a_beginning_of_an_id_is_enough_when_only_one_has_it(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    wanted = row(image(1, 1)).id
    assert wanted in printed(story(run, wanted[:10]))


def test_an_ambiguous_or_unknown_id_is_told_with_candidates(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    with pytest.raises(SenaError, match=r"ids in .* begin with : give more of it|nearest|name the ids"):
        story(run, "")
    wanted = row(image(1, 1)).id
    wrong = replace(row(image(1, 1)), id=wanted[:-1] + ("0" if wanted[-1] != "0" else "1")).id
    with pytest.raises(SenaError, match=f"no row, pair or image .* nearest: .*{wanted}"):
        story(run, wrong)
    digits = [each.id[0] for number in (1, 2) for each in (image(number, place) for place in range(6))]
    twice = next(digit for digit in digits if digits.count(digit) > 1)
    with pytest.raises(SenaError, match=f"ids in .* begin with {twice}: give more of it"):
        story(run, twice)


def test_show_loads_no_torch() -> None:
    script = "import sys, sena.report.show, sena.report.write, sena.report.picture; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
