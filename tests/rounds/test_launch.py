"""Training processes as they are started, listened to and ended. That they train rightly: tests/invariants."""

from __future__ import annotations

import io
import json
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from rich.console import Console

from sena.errors import RecipeError, SenaError
from sena.progress import Reporter
from sena.recipes.recipe import Recipe, load_recipe
from sena.rounds import launch, rank
from sena.rounds.job import Job
from sena.runs.folder import RunFolder
from sena.runs.metrics import Metrics, read_metrics
from tests.rounds import kills


def recipe(*settings: str) -> Recipe:
    return load_recipe("demo", settings=settings)


def job_of(place: Path, *settings: str) -> Job:
    run = RunFolder(place)
    reporter = Reporter(Console(file=io.StringIO()), run.log)
    return Job(recipe(*settings), run, reporter, Noted(run.metrics), {})


def launcher(place: Path, *lines: object, code: int = 0) -> str:
    """A setting that starts a program which prints `lines`, those that are no text as JSON, and ends with `code`."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    program = place / "launcher.py"
    head = f"import sys\nfor line in {texts!r}:\n    print(line)\n"
    program.write_text(f"{head}print(*sys.argv[1:], file=sys.stderr)\nsys.exit({code})\n")
    return f"train.launcher={sys.executable} {program}"


def test_what_starts_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not launch.is_wanted(recipe().train)
    assert launch.is_wanted(recipe("train.processes=2").train)
    assert launch.is_wanted(recipe("train.launcher=torchrun --nnodes 2").train)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert launch.count(recipe("train.processes=auto").train) == 1
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    assert launch.count(recipe("train.processes=auto").train) == 8


def test_mistakes_are_told_before_the_pairs_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    launch.demand(recipe("model.device=cpu", "train.processes=2"))
    with pytest.raises(RecipeError, match=r"set model\.device to auto in place of cuda:1"):
        launch.demand(recipe("model.device=cuda:1", "train.processes=2"))
    with pytest.raises(RecipeError, match="there is no program nonesuch here"):
        launch.demand(recipe("train.launcher=nonesuch --nnodes 2"))
    with pytest.raises(RecipeError, match=r"train\.launcher cannot be read as a command: No closing quotation"):
        launch.demand(recipe("train.launcher=torchrun 'x"))
    with pytest.raises(RecipeError, match="parallel: fsdp2 with method full is for optimizer adamw"):
        recipe("train.parallel=fsdp2", "train.optimizer=adamw_8bit")
    with pytest.raises(RecipeError, match="quantize: 4bit packs weights, which cannot be cut into rows"):
        recipe("train.parallel=fsdp2", "train.method=lora", "model.quantize=4bit")
    monkeypatch.setattr(launch, "resolve_device", lambda device: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(RecipeError, match=r"train\.processes is 4, and torch sees 2 GPUs"):
        launch.demand(recipe("train.processes=4"))
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SenaError, match="type the command without torchrun or accelerate in front"):
        launch.demand(recipe())


def test_ray_is_a_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is, how many workers, and whether they want GPUs. That it trains: test_launchers.py."""
    launch.demand(recipe("train.launcher=ray"))
    program = [sys.executable, "-m", "sena.rounds.on_ray"]
    assert launch._launcher(recipe("train.launcher=ray", "train.processes=auto")) == [*program, "local", "auto", "auto"]
    far = ("compute.ray.address=10.0.0.1:6379", "compute.ray.num_gpus=1", "train.processes=64")
    assert launch._launcher(recipe("train.launcher=ray", *far)) == [*program, "10.0.0.1:6379", "64", "cuda"]
    monkeypatch.setattr("sena.data.actors.find_spec", lambda name: None)
    with pytest.raises(SenaError, match=r"train\.launcher: ray needs Ray: pip install sena\[ray\]"):
        launch.demand(recipe("train.launcher=ray"))


class Noted(Metrics):
    """Keeps what it is shown."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.shown: list[object] = []

    def show(self, *given: object) -> None:  # type: ignore[override]
        self.shown.append(given)


def test_what_the_first_rank_tells_is_done_here(tmp_path: Path) -> None:
    lines = (
        {"event": "say", "text": "  2 processes [b]", "style": ""},
        {"event": "begin", "name": "train", "total": 0, "done": 0},
        "what a library prints",
        {"event": "show", "done": 1, "before": 0, "total": 2, "note": "loss 1.000"},
        {"event": "log", "round": 1, "stage": "train", "values": {"loss": 1.0}, "step": 4},
        {"event": "show", "done": 2, "before": 0, "total": 2, "note": "loss 0.900"},
        {"event": "end"},
        "[1]",
    )
    job = job_of(tmp_path, launcher(tmp_path, *lines))
    launch.run(job, 3, "train")
    log = job.run.log.read_text()
    assert "  2 processes [b]\n" in log
    assert "  train: 2 steps in 0" in log
    assert job.metrics.shown == [(1, "train", {"loss": 1.0}, 4)]  # type: ignore[attr-defined]
    assert not job.run.metrics.exists()  # the first rank has written the line itself
    assert (tmp_path / "trainers.log").read_text() == f"-m sena.rounds.rank {tmp_path.resolve()} 3 train\n"
    assert launch.read_settings(job.run) == job.recipe.train


@pytest.mark.parametrize("letter", ["a", "\n", "\u56fe", "\U0001f600"])
def test_an_event_is_no_longer_than_what_a_pipe_takes_whole(letter: str, capfd: pytest.CaptureFixture[str]) -> None:
    rank.Teller(True, rank.write).say(letter * 4000)
    line = capfd.readouterr().out
    assert 2500 < len(line) <= select.PIPE_BUF
    assert set(json.loads(line)["text"]) == {letter}


@pytest.mark.parametrize(
    ("kinds", "error", "match"),
    [
        (["lost", "mistake", "ours"], SenaError, "^word 1$"),
        (["lost", "ours"], RuntimeError, r"word 1 \(in a training process, see .*trainers.log\)"),
        (["lost"], SenaError, "type the same command to go on from the last checkpoint"),
        ([], SenaError, "A training process ended before its time"),
    ],
)
def test_what_goes_wrong(tmp_path: Path, kinds: list[str], error: type[Exception], match: str) -> None:
    events = [{"event": "failed", "kind": kind, "text": f"word {number}"} for number, kind in enumerate(kinds)]
    with pytest.raises(error, match=match):
        launch.run(job_of(tmp_path, launcher(tmp_path, *events, code=1)), 1, "reference")


def test_memory_that_did_not_suffice_is_tried_again_with_smaller_batches(tmp_path: Path) -> None:
    """The first start tells that two halvings are needed, the second one more, the third goes well."""
    program = tmp_path / "launcher.py"
    program.write_text(
        "import json, pathlib, sys\n"
        f"told = pathlib.Path({str(tmp_path / 'told')!r})\n"
        "starts = len(told.read_text()) if told.exists() else 0\n"
        "told.write_text('x' * (starts + 1))\n"
        "for kind in ['lost', 'memory'] if starts < 2 else []:\n"
        "    print(json.dumps({'event': 'failed', 'kind': kind, 'text': '', 'halvings': 2 - starts}))\n"
        "sys.exit(starts < 2)\n"
    )
    settings = f"train.launcher={sys.executable} {program}"
    job = job_of(tmp_path, settings, "train.batch_tokens=1024", "train.pairs_per_batch=4")
    launch.run(job, 1, "train")
    assert (tmp_path / "told").read_text() == "xxx"
    assert "all processes begin anew, with batches halved 3x" in job.run.log.read_text()
    halved = launch.read_settings(job.run)
    assert (halved.batch_tokens, halved.pairs_per_batch) == (128, 1)
    launch.run(job, 2, "train")  # a later round begins with what sufficed
    assert launch.read_settings(job.run) == halved
    other = job_of(tmp_path, settings, "train.batch_tokens=512")
    launch.run(other, 2, "train")
    assert launch.read_settings(other.run).batch_tokens == 512


SETTINGS = (
    "evolve", "demo", "--rounds", "1", "--limit", "24", "--set", "eval.count=12", "--set", "train.pairs_per_step=6",
    "--set", "train.save_every=2", "--set", "train.epochs=4", "--set", "engine.threads=1",
)  # fmt: skip


def ranks_of(out: Path) -> list[str]:
    """Command lines of the processes that train in this run folder."""
    every = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in every if launch.PROGRAM in line and str(out) in line]


@pytest.mark.slow
def test_a_killed_run_leaves_no_rank_and_is_ended_by_one_process(tmp_path: Path) -> None:
    out = tmp_path / "run"
    two = (*SETTINGS, "--set", "train.processes=2")
    assert kills.kill_when(two, out, lambda run: any((run / "round-1/checkpoints").glob("step-*/manifest.json")))
    latest = time.monotonic() + 40
    while ranks_of(out):
        assert time.monotonic() < latest, ranks_of(out)
        time.sleep(0.2)
    printed = kills.finish(SETTINGS, out)
    assert "Going on with the run" in printed
    assert "  2 processes train together (ddp)" in (out / "log.txt").read_text()
    lines = [line for line in read_metrics(out / "metrics.jsonl") if line["stage"] == "train" and "loss" in line]
    assert [line["step"] for line in lines] == list(range(lines[0]["steps"]))
    assert abs(lines[0]["loss/dpo"] - 0.6931) < 1e-3
