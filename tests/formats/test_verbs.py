"""`sena export` and `sena train` from end to end, on the miniature and on a tiny LLaVA."""

from __future__ import annotations

import importlib
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file

from sena.cli.main import run_program
from sena.formats import EXPORTS
from sena.formats.read import read_pairs
from sena.formats.write import write_pairs
from sena.records import Image, Pair
from sena.runs import tables
from sena.runs.folder import RunFolder
from sena.runs.metrics import read_metrics
from tests.formats.make import PAIRS, read_image, told

SMALL = ("--set", "engine.threads=1", "--set", "train.pairs_per_step=2", "--set", "train.learning_rate=1e-4")


def train(tiny: Path, pairs: Path, out: Path, *more: str) -> int:
    return run_program(["train", "--pairs", str(pairs), "--model", str(tiny), "--out", str(out), *SMALL, *more])


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    write_pairs("llava", PAIRS, read_image, tmp_path / "pairs")
    return tmp_path / "pairs"


@pytest.mark.parametrize("to", EXPORTS)
def test_a_run_of_pairs_is_exported_again(to: str, tiny_folder: Path, tmp_path: Path) -> None:
    """In by one layout and out by the same: nothing is lost on the way through a run."""
    write_pairs(to, PAIRS, read_image, tmp_path / "pairs")
    assert train(tiny_folder, tmp_path / "pairs", tmp_path / "run") == 0
    assert run_program(["export", str(tmp_path / "run"), "--to", to, "--out", str(tmp_path / "again")]) == 0
    assert told(read_pairs(tmp_path / "again").pairs) == told(PAIRS)


def test_training_on_a_file(
    exported: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tiny_folder, exported / "pairs.json", tmp_path / "run") == 0
    run = RunFolder(tmp_path / "run")
    assert told(tables.read(run.round(1).table("pairs"), Pair)) == told(PAIRS)
    assert len(tables.read(run.round(1).images, Image)) == 3
    steps = [line for line in read_metrics(run.metrics) if line["stage"] == "train" and "loss/dpo" in line]
    assert [line["step"] for line in steps] == [0, 1]
    assert steps[0]["loss/dpo"] == pytest.approx(math.log(2), abs=1e-4)
    old, new = (load_file(folder / "model.safetensors") for folder in (tiny_folder, run.round(1).model))
    assert any(not bool((old[name] == new[name]).all()) for name in old)
    _, head, text = (run.round(1).model / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(head)["tags"] == ["sena", "dpo", "preference-optimization"]
    assert "pairs: 4, from `pairs.json`" in text
    assert "unlabelled" not in text
    assert run.report.is_file()
    capsys.readouterr()
    assert run_program(["show", str(run.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rounds"][1]["rows"]["pairs"] == 4


def test_the_same_command_goes_on_and_another_file_is_refused(
    exported: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(tmp_path / "run")
    assert train(tiny_folder, exported, run.path) == 0
    model = (run.round(1).model / "model.safetensors").read_bytes()
    for path in (run.report, run.round(1).evidence, run.round(1).training):
        path.unlink()
    assert train(tiny_folder, exported, run.path) == 0
    assert (run.round(1).model / "model.safetensors").read_bytes() == model
    assert train(tiny_folder, exported, run.path) == 0
    assert "nothing is left to do" in capsys.readouterr().out
    records = json.loads((exported / "pairs.json").read_text())
    (exported / "pairs.json").write_text(json.dumps(records[1:]))
    assert train(tiny_folder, exported, run.path) == 2
    assert "was not begun from this pairs.json: choose another --out" in capsys.readouterr().err
    assert train(tiny_folder, exported, run.path, "--set", "dpo.beta=0.2") == 2
    assert "dpo.beta" in capsys.readouterr().err


@pytest.mark.parametrize(
    "place",
    ["sena.data.funnel.count_rows", "sena.runs.tables.write", "sena.align.reference.read", "sena.align.schedule.rate"],
)
@pytest.mark.parametrize("calls", [1, 2])
def test_a_run_that_was_stopped_goes_on_to_the_same_model(
    place: str, calls: int, exported: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped at the first or second call of something: amid the tables, behind the references, amid the steps."""
    every = ("--set", "train.save_every=1")
    assert train(tiny_folder, exported, tmp_path / "whole", *every) == 0
    room, _, name = place.rpartition(".")
    module = importlib.import_module(room)
    real, left = getattr(module, name), [calls]

    def stop(*args: Any, **options: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, stop)
        stopped = train(tiny_folder, exported, tmp_path / "run", *every)
    assert stopped == (130 if left[0] <= 0 else 0)
    assert train(tiny_folder, exported, tmp_path / "run", *every) == 0
    whole, again = (
        (tmp_path / run / "round-1" / "model" / "model.safetensors").read_bytes() for run in ("whole", "run")
    )
    assert whole == again


def test_a_faulty_file_leaves_no_run_folder(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pairs.json").write_text('[{"question": "What?", "chosen": "red", "image": "a.png"}]')
    assert train(tiny_folder, tmp_path / "pairs.json", tmp_path / "run") == 2
    assert "record 1 has no `reject`" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert train(tiny_folder, tmp_path / "none.json", tmp_path / "run") == 2
    assert "no file of pairs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "nonsense"], "llama-factory, ms-swift, llava for the pairs, merged and adapter for the model"),
        (["--to", "trl", "--round", "7"], "no complete pairs of round 7: give --round 1"),
    ],
)
def test_an_export_that_cannot_be(
    arguments: list[str],
    words: str,
    exported: Path,
    tiny_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert train(tiny_folder, exported, tmp_path / "run") == 0
    assert run_program(["export", str(tmp_path / "run"), *arguments, "--out", str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err
    assert run_program(["export", str(tmp_path), "--to", "trl", "--out", str(tmp_path / "out")]) == 2
    assert "is not a run folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_which_round_goes_out_is_said(
    exported: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a run of one round nothing is said of others."""
    assert train(tiny_folder, exported, tmp_path / "run") == 0
    capsys.readouterr()
    for number, says in ((1, False), (2, True)):
        if number == 2:
            shutil.copytree(tmp_path / "run" / "round-1", tmp_path / "run" / "round-2")
        assert run_program(["export", str(tmp_path / "run"), "--to", "trl", "--out", str(tmp_path / str(number))]) == 0
        said = capsys.readouterr().out
        assert f"4 pairs of round {number} are in" in said
        assert ("Those of another round: --round 1, into another --out" in said) is says


def test_an_export_whose_pictures_changed(
    exported: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tiny_folder, exported, tmp_path / "run") == 0
    for path in (exported / "images").iterdir():
        path.write_bytes(path.read_bytes() + b" ")
    assert run_program(["export", str(tmp_path / "run"), "--to", "trl", "--out", str(tmp_path / "out")]) == 2
    assert "changed since it was drawn" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_pairs_of_the_miniature_go_out_and_train_elsewhere(tmp_path: Path) -> None:
    run = tmp_path / "run"
    small = ("--limit", "16", "--set", "engine.threads=1", "--set", "train.pairs_per_step=8", "--set", "eval.count=6")
    assert run_program(["pairs", "demo", *small, "--out", str(run)]) == 0
    assert run_program(["export", str(run), "--to", "trl", "--out", str(tmp_path / "out"), "--round", "1"]) == 0
    mini = ("--model", "mini", "--set", "eval.benchmarks=[mini]", "--set", "eval.count=6", *SMALL)
    again = RunFolder(tmp_path / "again")
    assert run_program(["train", "--pairs", str(tmp_path / "out"), *mini, "--out", str(again.path)]) == 0
    made, found = (tables.read(RunFolder(each).round(1).table("pairs"), Pair) for each in (run, again.path))
    assert told(made) == told(found)
    assert "to_base" in json.loads(again.round(1).evidence.read_text())["benchmarks"]["mini"]
