"""The program from end to end, two small rounds of the demo, and everything that can be asked of the run folder."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import yaml
from PIL import Image as PIL
from safetensors.torch import load_file

from sena.cli.main import run_program
from sena.mini import mini_folder
from sena.records import Image, Pair, Row
from sena.runs import tables
from sena.runs.folder import RunFolder
from sena.runs.metrics import read_metrics

METRICS = [
    "chair_i",
    "chair_s",
    "coverage",
    "attribute",
    "pope_random",
    "pope_popular",
    "pope_adversarial",
    "vqa",
    "parsed",
    "length",
]
SMALL = (
    "--limit",
    "24",
    "--set",
    "engine.threads=1",
    "--set",
    "eval.count=12",
    "--set",
    "engine.shard=16",
    "--set",
    "train.pairs_per_step=8",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    out = tmp_path_factory.mktemp("evolve") / "run"
    assert run_program(["evolve", "demo", "--rounds", "2", *SMALL, "--out", str(out)]) == 0
    return RunFolder(out)


def test_the_folder_is_as_agreed(run: RunFolder) -> None:
    for name in ("recipe.yaml", "manifest.json", "metrics.jsonl", "report.html", "log.txt"):
        assert (run.path / name).stat().st_size > 0, name
    for number in (1, 2):
        folder = run.round(number)
        for name in ("images.parquet", "pairs.parquet", "drops.parquet", "replies.parquet", "evidence.json"):
            assert (folder.path / name).is_file(), name
        assert (folder.shard(1) / "manifest.json").is_file()
        assert not list(folder.checkpoints.glob("*"))
    manifest = json.loads(run.manifest.read_text())
    assert {"schema", "seed", "versions", "git", "device", "plan"} <= manifest.keys()
    assert manifest["plan"]["threads"] >= 1
    assert list((run.path / "tensorboard").glob("events.*"))


def test_rounds_see_fresh_images(run: RunFolder) -> None:
    first, second = ({image.id for image in tables.read(run.round(n).images, Image)} for n in (1, 2))
    assert len(first) == len(second) == 24
    assert not first & second


def test_the_first_preference_loss_is_log_2_in_both_rounds(run: RunFolder) -> None:
    """In round 2 the reference is the model of round 1: against the base the loss would not be log 2 any more."""
    lines = [line for line in read_metrics(run.metrics) if line["stage"] == "train" and line["step"] == 0]
    losses = [line["loss/dpo"] for line in lines]
    assert losses == pytest.approx([math.log(2)] * 2, abs=1e-4)
    weights = [
        load_file(folder / "model.safetensors") for folder in (mini_folder(), run.round(1).model, run.round(2).model)
    ]
    for name in weights[0]:
        frozen = "vision_tower" in name
        assert frozen == bool((weights[0][name] == weights[1][name]).all()), name
        assert frozen == bool((weights[1][name] == weights[2][name]).all()), name


def test_pairs_trace_back_to_their_rows(run: RunFolder) -> None:
    rows = {row.id: row for row in tables.read(run.round(1).table("answers"), Row)}
    pairs = tables.read(run.round(1).table("pairs"), Pair)
    assert pairs
    for pair in pairs:
        row = rows[pair.row_id]
        assert pair.prompt == (row.describe_prompt if pair.kind == "description" else row.answer_prompt)
        assert (pair.corruption, pair.strength) == ("diffusion", 600)
    seeds = {(pair.image_id, pair.corruption_seed) for pair in pairs}
    assert len(seeds) == len({image for image, _ in seeds}) == len({seed for _, seed in seeds})


def test_show_prints_what_was_agreed(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_program(["show", str(run.path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [each["round"] for each in shown["rounds"]] == [0, 1, 2]
    for each in shown["rounds"]:
        assert set(METRICS) <= each["metrics"].keys()
        for figure in each["metrics"].values():
            assert figure["low"] <= figure["value"] <= figure["high"]
            assert figure["n"] > 0
    funnel = shown["rounds"][1]["rows"]
    dropped = sum(sum(reasons.values()) for reasons in funnel["dropped"].values())
    assert funnel["images"] == 24
    assert 2 * funnel["answers"] == funnel["pairs"] + sum(funnel["dropped"].get("filter", {}).values())
    assert funnel["questions"] + dropped >= 24


def test_a_rows_story(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    pair = tables.read(run.round(1).table("pairs"), Pair)[0]
    assert run_program(["show", str(run.path), "--id", pair.id]) == 0
    story = capsys.readouterr().out
    assert pair.chosen.split()[-1] in story
    assert run_program(["show", str(run.path), "--id", "nonesuch"]) == 2


def test_the_last_model_answers(run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sena.mini.source import MiniSource

    source = MiniSource()
    (tmp_path / "scene.png").write_bytes(source.read(source.list()[0]))
    assert (
        run_program(
            ["ask", str(run.path), str(tmp_path / "scene.png"), "describe this picture . answer in one sentence ."]
        )
        == 0
    )
    assert "at" in capsys.readouterr().out


def test_the_card_has_the_metadata_of_a_hub(run: RunFolder) -> None:
    _, head, text = (run.round(1).model / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(head)["pipeline_tag"] == "image-text-to-text"
    assert "24 unlabelled images" in text


def test_check_says_all_before_hours_are_spent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the list of bad pictures goes
    assert run_program(["check", "demo", "--limit", "8", "--try", "4", "--recipe"]) == 0
    said = capsys.readouterr().out
    for part in ("learning_rate", "optimizer states", "disk:", "chosen", "At this rate", "No fault found"):
        assert part in said
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        PIL.new("RGB", (32, 32), (number, 0, 0)).save(folder / f"{number}.png")
    (folder / "bad.jpg").write_bytes(b"")
    assert (
        run_program(["check", "demo", "--images", str(folder), "--all-images", "--set", "model.name=nowhere/none"]) == 2
    )
    said = capsys.readouterr().out
    assert "1 empty:\n  photos: bad.jpg" in said
    assert "rounds of 300 images need 900 and there are 4" in said
    assert said.count("fault:") == 2


def test_learning_rate_zero_changes_no_number(tmp_path: Path) -> None:
    out = RunFolder(tmp_path / "still")
    zero = ("--rounds", "1", "--set", "train.learning_rate=0")
    assert run_program(["evolve", "demo", *zero, *SMALL, "--out", str(out.path)]) == 0
    base, after = (json.loads(out.round(n).evidence.read_text())["benchmarks"]["mini"] for n in (0, 1))
    assert base["metrics"] == after["metrics"]
    assert all(each["value"] == each["low"] == each["high"] == 0 for each in after["to_base"].values())
    old, new = (load_file(folder / "model.safetensors") for folder in (mini_folder(), out.round(1).model))
    assert all(bool((old[name] == new[name]).all()) for name in old)
