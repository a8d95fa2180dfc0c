"""What becomes of a round that gives alarm, and the pictures that are set aside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sena import files
from sena.cli.main import run_program
from sena.recipes import names
from sena.recipes.recipe import load_recipe
from sena.records import Image
from sena.rounds import watching
from sena.rounds.job import open_job
from sena.runs import tables
from sena.runs.folder import RunFolder
from tests.rounds.test_evolve import SMALL


@pytest.mark.parametrize(
    ("rule", "flagged", "starts", "last"),
    [
        ("continue", [1, 2], [0, 1, 2], 3),
        ("stop", [2], [0, 1, 2], 2),
        ("stop", [], [0, 1, 2], 3),
        ("rollback", [1], [0, 0, 2], 3),
        ("rollback", [1, 2], [0, 0, 0], 3),
        ("rollback", [2], [0, 1, 1], 3),
    ],
)
def test_what_the_rule_makes_of_alarms(
    rule: str, flagged: list[int], starts: list[int], last: int, tmp_path: Path
) -> None:
    recipe = load_recipe("demo", settings=[f"eval.on_regression={rule}"])
    with open_job(recipe, tmp_path / "run", None) as job:
        for number in range(4):
            alarms = [{"name": "length", "text": "too long"}] if number in flagged else []
            files.write_json(job.round(number).evidence, {"alarms": alarms})
        assert [job.start_of(number) for number in (1, 2, 3)] == starts
        assert job.last_round() == last


def test_a_run_stands_by_the_round_in_its_result(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for path in (run.manifest, run.round(1).model / "config.json", run.round(2).model / "config.json"):
        files.write_json(path, {})
    assert names.model_or_run(str(tmp_path)) == str(run.round(2).model)
    files.write_json(run.result, {"round": 1})
    assert names.model_or_run(str(tmp_path)) == str(run.round(1).model)


def test_training_is_read_off_the_last_quarter_without_the_first_step(tmp_path: Path) -> None:
    """Steps 0 to 4 with margins 0, .1, .2, .3, .4: of the four that count the last alone, at beta .1 a margin of 4."""

    def line(step: int) -> str:
        rewards = {"rewards/margins": step / 10, "rewards/chosen": -step / 20, "rewards/accuracies": float(step > 0)}
        return json.dumps({"round": 1, "stage": "train", "step": step, **rewards})

    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text("\n".join(line(step) for step in (0, 1, 2, 1, 2, 3, 4)))  # 1 and 2 again, after a kill
    found = watching.training(metrics, 1, 0.1)
    assert found is not None
    assert (found.margin, found.drift, found.accuracy) == pytest.approx((4.0, -2.0, 1.0))
    metrics.write_text(line(0))
    assert watching.training(metrics, 1, 0.1) is None


@pytest.mark.slow
def test_a_collapse_is_seen_and_rolled_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A learning rate fifty times too high. Round 2 begins from the base again; watched pictures are never drawn."""
    out = tmp_path / "run"
    settings = ["--set", "train.learning_rate=0.0025", "--set", "eval.on_regression=rollback", "--set", "eval.watch=16"]
    assert run_program(["evolve", "demo", "--rounds", "2", *SMALL, *settings, "--out", str(out)]) == 0
    run, said = RunFolder(out), capsys.readouterr().out
    assert "alarm: after round 1" in said
    assert "Round 2 of 2 begins from" in said
    assert "round-1/model" not in said.split("Round 2 of 2 begins from")[1].splitlines()[0]
    evidence = json.loads(run.round(1).evidence.read_text())
    assert {alarm["name"] for alarm in evidence["alarms"]}
    assert json.loads(run.result.read_text()) == {"round": 0}
    aside = {image.id for image in tables.read(run.round(0).images, Image)}
    drawn = {image.id for number in (1, 2) for image in tables.read(run.round(number).images, Image)}
    assert len(aside) == 16
    assert not aside & drawn


@pytest.mark.slow
def test_few_pictures_are_all_for_the_rounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sena.mini.bench import MiniBench

    bench, images = MiniBench(), tmp_path / "images"
    images.mkdir()
    for number, item in enumerate(bench.items("tuning", 20)):
        bench.open_image(item.id).save(images / f"{number}.png")
    arguments = ["evolve", "demo", "--rounds", "1", "--images", str(images), *SMALL, "--limit", "20"]
    assert run_program([*arguments, "--set", "eval.benchmarks=[]", "--out", str(tmp_path / "run")]) == 0
    assert "none of the 20 pictures is set aside" in capsys.readouterr().out
    assert json.loads((tmp_path / "run/round-1/evidence.json").read_text())["watched"] == {}
