"""`sena eval` from the command line: what it prints, keeps, resumes, compares and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sena.cli.main import run_program
from tests.evals import make
from tests.evals.judging import server
from tests.evals.test_judged import mmhal
from tests.evals.test_vqa import vqav2


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make.pope(tmp_path / "data")


def result(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run_program(["eval", *arguments])
    return code, *capsys.readouterr()


def test_numbers_come_with_intervals_notes_and_raw_answers(
    data: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = (str(tiny_folder), "--bench", "pope", "--data", str(data))
    code, said, _ = result(capsys, *command, "--out", str(out), "--json")
    assert code == 0
    told = json.loads(said)
    f1 = told["pope"]["metrics"]["f1"]
    assert f1["low"] <= f1["value"] <= f1["high"]
    assert f1["n"] == 12
    assert told["pope"]["notes"] == {"asked about": "2 of 2 pictures"}
    rows = [json.loads(line) for line in (out / "pope.jsonl").read_text().splitlines()]
    assert [answer["id"] for answer in rows[0]["answers"]][:2] == ["random/1", "random/2"]
    assert json.loads((out / "results.json").read_text())["benchmarks"] == told


def test_the_same_command_asks_nothing_anew(
    data: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sena.rounds import measure

    command = (str(tiny_folder), "--bench", "pope", "--data", str(data), "--out", str(tmp_path / "out"), "--json")
    first = result(capsys, *command)[1]

    def refuse(*_: Any) -> None:
        raise AssertionError("the model is not needed")

    monkeypatch.setattr(measure, "load", refuse)
    code, again, _ = result(capsys, *command)
    assert (code, again) == (0, first)


def test_answers_of_another_model_or_to_other_questions_are_not_mixed(
    data: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--bench", "pope", "--data", str(data), "--out", str(tmp_path / "out"))
    assert result(capsys, str(tiny_folder), *out)[0] == 0
    code, _, error = result(capsys, str(tiny_folder), *out, "--limit", "1")
    assert (code, "answers to other questions of pope" in error) == (2, True)
    code, _, error = result(capsys, "mini", *out)
    assert (code, "choose another --out" in error) == (2, True)


def test_two_models_are_compared(
    data: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model against itself: every difference is nought, with an interval of nought."""
    command = (str(tiny_folder), "--bench", "pope", "--data", str(data), "--against", str(tiny_folder))
    code, said, _ = result(capsys, *command, "--out", str(tmp_path / "out"), "--json")
    assert code == 0
    changes = json.loads(said)["pope"]["to_other"]
    assert {(each["value"], each["low"], each["high"], each["n"]) for each in changes.values()} == {(0, 0, 0, 2)}
    assert (tmp_path / "out/against/pope.jsonl").is_file()
    printed = result(capsys, *command)[1]
    assert "against the other" in printed
    assert f"the other: {tiny_folder}" in printed


def test_hidden_truth_gives_a_submission_file(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = vqav2(tmp_path, "test-dev2015", "test2015")
    command = (str(tiny_folder), "--bench", "vqav2", "--data", str(data))
    code, _, error = result(capsys, *command)
    assert (code, "The truth of vqav2 is hidden: give --out" in error) == (2, True)
    code, said, _ = result(capsys, *command, "--out", str(tmp_path / "out"))
    assert code == 0
    assert "upload" in said
    assert [row["question_id"] for row in json.loads((tmp_path / "out/vqav2-submission.json").read_text())] == [90]


def test_a_judge_is_asked_and_named(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mmhal(tmp_path)
    command = (str(tiny_folder), "--bench", "mmhal", "--data", str(tmp_path), "--out", str(tmp_path / "out"))
    code, _, error = result(capsys, *command)
    assert (code, "needs a judge: give --judge URL and --judge-model NAME" in error) == (2, True)
    with server(lambda prompt: "Reasons.\nRating: 2") as heard:
        code, said, _ = result(capsys, *command, "--judge", heard.url, "--judge-model", "tester", "--json")
    told = json.loads(said)["mmhal"]
    assert code == 0
    assert told["metrics"]["hallucination_rate"]["value"] == 1.0
    assert told["notes"]["judge"] == f"tester at {heard.url}"
    assert told["notes"]["prompt"].startswith("sena judge prompt v1")
    assert len((tmp_path / "out/mmhal.judge.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--bench", "pope"], "needs its authors' files: say where they lie with --data DIR"),
        (["--bench", "popes", "--data", "."], "There is no benchmark 'popes': known are mini, pope, chair"),
        (["--bench", "pope", "--data", "nowhere"], "There is no folder nowhere"),
        (["--judge", "http://127.0.0.1:1"], "A judge needs both"),
    ],
)
def test_mistakes_are_told_before_a_model_is_loaded(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, error = result(capsys, "no-such-model", *arguments)
    assert (code, told in error) == (2, True)


def test_a_recipe_may_name_benchmarks_on_files_but_none_that_needs_a_judge(data: Path) -> None:
    from sena.errors import RecipeError
    from sena.evals.base import EvalConfig
    from sena.recipes import names

    (found,) = names.benchmarks(EvalConfig(benchmarks=("pope",), data=str(data)))
    assert found.name == "pope"
    with pytest.raises(RecipeError, match="mmhal needs a judge"):
        names.benchmarks(EvalConfig(benchmarks=("mmhal",), data=str(data)))


def test_bench_ls_tells_all_of_every_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    from sena.recipes.names import suites

    assert run_program(["bench", "ls"]) == 0
    listed = capsys.readouterr().out
    for name, (about, _) in suites().items():
        assert name in listed
        assert run_program(["bench", "ls", name]) == 0
        told = capsys.readouterr().out
        for part in (about.source, about.prompt, about.metric, *(path for path, _ in about.files)):
            assert part in told
    assert run_program(["bench", "ls", "popes"]) == 2
