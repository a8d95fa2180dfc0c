"""A run in an object store: killed, its copy lost, gone on with elsewhere, and equal to one on the disk to the byte."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sena import copies
from sena.cli.main import run_program
from sena.data.crew import Task
from sena.errors import RecipeError
from sena.images.sources import FolderSource
from sena.mini.source import MiniSource
from sena.progress import Reporter
from sena.recipes import load as recipes
from sena.recipes.recipe import Recipe, load_recipe
from sena.records import Image
from sena.rounds import training_half, worker
from sena.rounds.job import open_job
from sena.runs import tables
from sena.runs.folder import RunFolder, at_work
from tests.bucket import Bucket, Server, new_bucket
from tests.rounds import kills

pytestmark = pytest.mark.slow

SMALL = (
    "evolve", "demo", "--rounds", "1", "--limit", "12", "--set", "engine.shard=4", "--set", "engine.window=4",
    "--set", "eval.count=6", "--set", "eval.watch=0", "--set", "train.pairs_per_step=4", "--set", "train.save_every=1",
    "--set", "engine.threads=1",
)  # fmt: skip


def photos(folder: Path) -> Path:
    source = MiniSource()
    folder.mkdir()
    for number, path in enumerate(source.list()[:16]):
        (folder / f"{number}.png").write_bytes(source.read(path))
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv(copies.CACHE, str(folder))
        yield folder


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run on the disk, pictures beside it."""
    home = tmp_path_factory.mktemp("local")
    assert run_program([*SMALL, "--images", str(photos(home / "photos")), "--out", str(home / "run")]) == 0
    return home / "run"


@pytest.fixture(scope="module")
def stored(local: Path, cache: Path, object_store: Server) -> Bucket:
    """The same with pictures and run in a bucket: killed after the first shard and while it trains, its copy lost each
    time, then ended."""
    bucket = new_bucket(object_store, "stored-run")
    bucket.put_folder(local.parent / "photos", "photos")
    run, images = Path(f"{bucket.address}/runs/mine"), ("--images", f"{bucket.address}/photos")
    for name in ("shards/00000/manifest.json", "checkpoints/step-000001/manifest.json"):
        put = ("PUT", f"runs/mine/round-1/{name}")
        assert kills.kill_when([*SMALL, *images], run, lambda run, put=put: put in bucket.asked)
        assert ("PUT", "runs/mine/round-1/training.json") not in bucket.asked
        shutil.rmtree(cache / "stores")
    assert run_program([*SMALL, *images, "--out", str(run)]) == 0
    return bucket


def test_a_run_that_lost_its_copy_twice_equals_one_on_the_disk(local: Path, stored: Bucket) -> None:
    """Tables, raw answers, references, weights and evidence."""
    there = {name: data for name, data in stored.objects("runs/mine").items() if name.startswith("round-")}
    assert len(there) > 30
    undisturbed = kills.results(local)
    assert [name for name in there.keys() | undisturbed.keys() if there.get(name) != undisturbed.get(name)] == []
    assert [name for name in stored.objects("runs/mine") if "/." in f"/{name}"] == []


def test_nothing_that_was_done_was_done_again(stored: Bucket) -> None:
    said = stored.objects("runs/mine")["log.txt"].decode()
    assert said.count("A new run in s3://stored-run/runs/mine") == 1
    assert said.count("Going on with the run in s3://stored-run/runs/mine") == 2
    assert "of 12 images were done before" in said
    puts = [key for method, key in stored.asked if method == "PUT"]
    assert len([key for key in puts if key.endswith("shards/00000/manifest.json")]) == 1


def test_no_mark_was_put_before_its_files(stored: Bucket) -> None:
    """Whenever somebody looks, a folder that says it is whole is: by the order in which the store was asked."""
    marks = {
        "shards/00001/manifest.json": [f"shards/00001/{name}.parquet" for name in ("questions", "pairs", "replies")],
        "reference/manifest.json": ["reference/key.json", "reference/part-00000.parquet"],
        "model/config.json": ["model/model.safetensors", "model/tokenizer.json"],
        "training.json": ["model/model.safetensors", "model/config.json"],
        "funnel.json": ["questions.parquet", "pairs.parquet", "drops.parquet"],
        "checkpoints/step-000001/manifest.json": ["checkpoints/step-000001/tensors.safetensors"],
    }
    puts = [key.removeprefix("runs/mine/round-1/") for method, key in stored.asked if method in ("PUT", "POST")]
    for mark, names in marks.items():
        first = puts.index(mark)
        assert [name for name in names if name not in puts[:first]] == [], mark


def test_the_verbs_take_the_address(
    stored: Bucket, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With an empty copy, which each fills with what it needs."""
    run = f"{stored.address}/runs/mine"
    shutil.rmtree(cache / "stores")
    assert run_program(["show", run]) == 0
    assert f"sena view {run}" in capsys.readouterr().out
    assert not list(cache.rglob("*.safetensors"))
    stored.delete("runs/mine/report.html")
    assert run_program(["report", run]) == 0
    page = stored.objects("runs/mine")["report.html"]
    assert b"<html" in page
    assert run_program(["compare", run, run, "--out", str(tmp_path / "both.html")]) == 0
    assert run_program(["export", run, "--to", "trl", "--out", str(tmp_path / "pairs")]) == 0
    assert not list(cache.rglob("*.safetensors"))
    assert run_program(["export", run, "--to", "merged", "--out", str(tmp_path / "model")]) == 0
    weights = stored.objects("runs/mine")["round-1/model/model.safetensors"]
    assert (tmp_path / "model/model.safetensors").read_bytes() == weights
    assert run_program(["evolve", "--out", run]) == 0
    assert "This run is finished, nothing is left to do" in capsys.readouterr().out
    assert run_program(["show", f"{stored.address}/photos"]) == 2
    assert "holds other things than a run" in capsys.readouterr().err


def test_a_worker_on_another_machine_needs_no_shared_disk(
    local: Path, stored: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets an address, makes a copy of its own and puts its shard, which the run then fetches."""
    recipe = recipes.load(Recipe, local / "recipe.yaml")[0]
    sources = load_recipe("demo", images=f"{stored.address}/photos").images
    recipe = recipe.model_copy(update={"images": sources})
    run = f"{stored.address}/runs/shared"
    monkeypatch.setenv(copies.CACHE, str(tmp_path / "driver"))
    with at_work(run) as out, open_job(recipe, out, Reporter()) as job:
        images = tables.read(local / "round-1/images.parquet", Image)
        tables.write(job.round(1).images, Image, images)
        order = worker.order_for(job, 1, images)
        assert order["run"] == run
        assert str(tmp_path) not in str({key: order[key] for key in ("run", "files")})
        monkeypatch.setenv(copies.CACHE, str(tmp_path / "worker"))
        worker.make(order).run(Task(1))
        monkeypatch.setenv(copies.CACHE, str(tmp_path / "driver"))
        shard = job.round(1).shard(1)
        assert not shard.exists()
        copies.fetch(shard.parent)
        made = {path.name: path.read_bytes() for path in shard.iterdir()}
    assert made == {path.name: path.read_bytes() for path in RunFolder(local).round(1).shard(1).iterdir()}
    assert len(made) == 6
    assert {path.name for path in (tmp_path / "worker").rglob("*.parquet")} == {
        "images.parquet", *(name for name in made if name.endswith(".parquet"))
    }  # fmt: skip


def test_training_on_several_machines_wants_a_disk() -> None:
    """Before pairs are made, and not after."""
    recipe = load_recipe("demo", settings=[f"train.launcher={sys.executable}"])
    training_half.demand_trainable(recipe, "runs/mine")
    with pytest.raises(RecipeError, match="choose another --out than s3://bucket/runs/mine"):
        training_half.demand_trainable(recipe, Path("s3://bucket/runs/mine"))


def test_pictures_of_a_bucket_are_those_of_the_folder(local: Path, stored: Bucket) -> None:
    """The names in the tables can be opened again by whoever has the recipe."""
    run = RunFolder(copies.place(f"{stored.address}/runs/mine"))
    recipe = recipes.load(Recipe, run.recipe)[0]
    assert recipe.images.sources[0].path == f"{stored.address}/photos"
    folder = FolderSource("photos", local.parent / "photos")
    for image in tables.read(run.round(1).images, Image):
        assert stored.objects("photos")[image.path] == folder.read(image.path)
