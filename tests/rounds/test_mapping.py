"""What a run says and leaves when shards fail, how it goes on, and what a worker elsewhere refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from sena.cli.main import run_program
from sena.data.crew import Order, Task
from sena.data.run_stage import Dropped
from sena.errors import RecipeError, SenaError
from sena.recipes.recipe import load_recipe
from sena.records import Image
from sena.rounds import data_half, job, worker
from sena.rounds.job import open_job
from sena.runs import tables
from sena.runs.folder import RunFolder
from sena.runs.metrics import read_metrics
from tests.rounds import faulty

SETTINGS = ["engine.threads=1", "engine.shard=3", "engine.window=3"]
SMALL = ["pairs", "demo", "--limit", "8", *(word for setting in SETTINGS for word in ("--set", setting))]
PROCESSES = ["--set", "compute.kind=processes", "--set", "compute.workers=2", "--set", "compute.retries=0"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Eight pictures in three shards, made in this process."""
    out = tmp_path_factory.mktemp("mapping") / "whole"
    assert run_program([*SMALL, "--out", str(out)]) == 0
    return RunFolder(out)


def test_failed_shards_are_listed_tried_again_or_gone_without(
    whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Shard 1 kills its workers: the run stops; it may go on without; and where nothing kills any more, with it."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setattr(worker, "make", faulty.make)
    run = RunFolder(tmp_path / "run")
    command = [*SMALL, "--out", str(run.path), *PROCESSES]
    assert run_program(command) == 2
    said = capsys.readouterr()
    assert "1 of 3 shards failed" in said.err
    assert "type the same command to try them again" in said.err
    assert "was ended by SIGKILL at shard 1, whose images are now searched" in said.out
    [failed] = json.loads(run.round(1).failed.read_text())
    assert (failed["shard"], len(failed["images"]), failed["why"]) == (1, 3, "was ended by SIGKILL")
    assert not run.round(1).funnel.exists()

    assert run_program([*command, "--set", "compute.allow_failed_shards=true"]) == 0
    assert "5 of 8 images were done before" in capsys.readouterr().out
    lost = [drop for drop in tables.read(run.round(1).table("drops"), Dropped) if drop.stage == "worker"]
    assert {(drop.image_id, drop.reason) for drop in lost} == {(image, "shard failed") for image in failed["images"]}
    assert json.loads(run.round(1).funnel.read_text())["dropped"]["worker"] == {"shard failed": 3}
    seconds = {line["stage"]: line["seconds"] for line in read_metrics(run.metrics)}
    assert seconds["pairs/answer"] in (0.5, 1.0)

    run.round(1).funnel.unlink()
    monkeypatch.undo()
    assert run_program([*SMALL, "--out", str(run.path)]) == 0  # now in this process
    assert not run.round(1).failed.exists()
    mine, theirs = (each.round(1).shard(1) / "pairs.parquet" for each in (run, whole))
    assert mine.read_bytes() == theirs.read_bytes()


def order_of(run: RunFolder) -> Order:
    with open_job(load_recipe(run.recipe), run.path, None) as at_work:
        return worker.order_for(at_work, 1, data_half.draw_images(at_work, 1))


def test_a_worker_made_of_an_order_gives_the_same_bytes(
    whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One model is loaded for all of its shards."""
    loads: list[str] = []
    load = job.load_under
    monkeypatch.setattr(job, "load_under", lambda model, name: loads.append(name) or load(model, name))
    order = json.loads(json.dumps(order_of(whole)))
    elsewhere = worker.make({**order, "run": str(whole.path)})
    elsewhere.folder = RunFolder(tmp_path).round(1)
    told = elsewhere.run(Task(0))
    assert (told["made"], told["why"]) == (3, "")
    assert set(told["seconds"]) == {"question", "check", "answer", "enhance", "reject"}
    theirs = {path.name: path.read_bytes() for path in whole.round(1).shard(0).iterdir()}
    assert {path.name: path.read_bytes() for path in elsewhere.folder.shard(0).iterdir()} == theirs
    tried = elsewhere.run(Task(1, only=(elsewhere.parts[1][0].id,)))
    assert (tried["made"], elsewhere.folder.shard(1).exists()) == (0, False)
    given_up, stays = (image.id for image in elsewhere.parts[2])
    assert elsewhere.run(Task(2, left_out=(given_up,)))["made"] == 2
    drops = tables.read(elsewhere.folder.shard(2) / "drops.parquet", Dropped)
    assert [drop.reason for drop in drops if drop.image_id == given_up] == ["worker died"]
    manifest = json.loads((elsewhere.folder.shard(2) / "manifest.json").read_text())
    assert (manifest["images"], manifest["plan"]["left_out"]) == ([given_up, stays], [given_up])
    assert len(loads) == 1


def test_an_order_holds_no_list_of_images(whole: RunFolder) -> None:
    """One image at most travels, as path and hash; which shard has which is read from the run folder."""
    order = order_of(whole)
    names = [image.id for image in tables.read(whole.round(1).images, Image)]
    assert [name for name in names if name in json.dumps(order)] == [order["image"]["id"]]
    assert set(order["image"]) == {"id", "source", "path", "sha256", "width", "height"}


def test_a_worker_that_does_not_see_what_the_run_sees_refuses(whole: RunFolder, tmp_path: Path) -> None:
    """Each sentence names the node and what it lacks."""
    order = order_of(whole)
    manifest = str(whole.manifest.resolve())
    changed = {
        "has no file /nowhere/config.json": {"files": {"/nowhere/config.json": "00"}},
        "manifest.json is another file on": {"files": {manifest: "00"}},
        "has no folder /nowhere": {"folder": "/nowhere"},
        "this run 9.9": {"version": "9.9"},
        "would compute in float32, this run does in bfloat16": {"plan": {**order["plan"], "dtype": "bfloat16"}},
        "cannot read mini: unlabelled.*changed since": {"image": {**order["image"], "sha256": "00"}},
    }
    for words, change in changed.items():
        with pytest.raises(SenaError, match=words):
            worker.make({**order, **change})


def test_workers_want_a_device_of_their_own() -> None:
    with pytest.raises(RecipeError, match=r"compute.kind: ray gives every worker a GPU of its own"):
        load_recipe("demo", settings=["compute.kind=ray", "model.device=split"])


@pytest.mark.parametrize(
    ("settings", "threads"),
    [
        ([], 24),
        (["compute.workers=4"], 24),
        (["compute.workers=4", "compute.kind=processes"], 6),
        (["compute.workers=4", "compute.kind=ray"], 6),
        (["compute.workers=64", "compute.kind=ray", "compute.ray.address=auto"], 24),
        (["compute.kind=ray", "compute.ray.num_cpus=5"], 5),
        (["compute.kind=processes", "engine.threads=7"], 7),
        (["compute.workers=99", "compute.kind=processes"], 1),
    ],
)
def test_threads_are_shared_out_among_the_workers_of_a_machine(
    settings: list[str], threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """24 processors. The number is fixed in the manifest of a new run; nothing is drawn or loaded here."""
    monkeypatch.setattr(os, "cpu_count", lambda: 24)
    recipe = load_recipe("demo", settings=["engine.threads=0", *settings])
    before = torch.get_num_threads()
    try:
        with open_job(recipe, tmp_path / "run", None) as job:
            assert job.plan["threads"] == threads
    finally:
        torch.set_num_threads(before)
