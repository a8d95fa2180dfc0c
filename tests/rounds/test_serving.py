"""A run behind a server: the same pairs, a server that holds the round's model or a run that waits for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sena.cli.main import run_program
from sena.data.run_stage import Said
from sena.engines.local import LocalEngine
from sena.engines.server import ServerEngine
from sena.errors import Paused, RecipeError
from sena.images.sample import draw
from sena.mini import mini_folder
from sena.models.load import load, save
from sena.models.vlm import VLM
from sena.recipes.recipe import load_recipe
from sena.records import Corruption, Request
from sena.rounds import serving
from sena.rounds.job import Job, open_job
from sena.runs import tables
from sena.runs.folder import RunFolder
from tests.engines.faulty import Faulty, answering, faulty
from tests.serve.test_web import free_port

BASE = str(mini_folder())


@pytest.fixture(scope="module")
def mini() -> VLM:
    return load(BASE, "float32", "cpu")


@pytest.fixture(scope="module")
def other() -> VLM:
    """A model that learned something else."""
    vlm = load(BASE, "float32", "cpu")
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in vlm.model.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.05 * weight.std(correction=0).item())
    return vlm


def words(out: Path, url: str = "", *more: str) -> list[str]:
    """`sena pairs` on four pictures; with an address behind a server."""
    settings = ["engine.kind=server", f"engine.server.url={url}", *more] if url else list(more)
    sets = [word for each in ["eval.watch=0", *settings] for word in ("--set", each)]
    return ["pairs", "demo", "--limit", "4", "--out", str(out), *sets]


@contextmanager
def job_at(out: Path, url: str, *more: str, model: str = "mini") -> Iterator[Job]:
    settings = ["engine.kind=server", f"engine.server.url={url}", "engine.server.timeout=60", *more]
    with open_job(load_recipe("demo", model=model, limit=4, settings=settings), out, None) as job:
        yield job


def told(out: str) -> str:
    return " ".join(out.split())


def test_the_pairs_are_those_of_the_model(mini: VLM, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All tables to the byte but for the replies, where a server tells no tokens."""
    failing = Faulty(lambda body, number: "500" if number in (5, 9) else "", answer=answering(mini))
    with faulty(failing) as server:
        assert run_program(words(tmp_path / "server", server.url)) == 0
    out = told(capsys.readouterr().out)
    assert "says what the round's model says to 3 probes" in out
    assert "faults of the server, tried again where that may help: 2 server error" in out
    assert run_program(words(tmp_path / "local")) == 0
    there, here = (RunFolder(tmp_path / name).round(1) for name in ("server", "local"))
    for name in ("images", "questions", "answers", "pairs", "drops"):
        assert there.table(name).read_bytes() == here.table(name).read_bytes()
    wanted = [replace(each, tokens=0, stable=None) for each in tables.read(here.table("replies"), Said)]
    assert tables.read(there.table("replies"), Said) == wanted
    assert any(each.corruption for each in wanted)


def test_a_run_waits_for_its_server_and_goes_on(
    mini: VLM, other: VLM, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    out = tmp_path / "run"
    assert run_program(words(out, f"http://127.0.0.1:{port}/v1")) == 0
    waits = told(capsys.readouterr().out)
    assert f"The run waits: round 1 needs a server of the model {BASE}. No server answers at" in waits
    assert f"sena serve {BASE} --port {port}" in waits
    with faulty(Faulty(answer=answering(other))) as server:  # the address may be another one each time
        assert run_program(words(out, server.url)) == 0
    waits = told(capsys.readouterr().out)
    assert f"The server at {server.url} holds another model: asked 'describe this picture .' about" in waits
    assert not (out / "round-1" / "funnel.json").exists()
    with faulty(Faulty(answer=answering(mini))) as server:
        assert run_program(words(out, server.url)) == 0
        asked = len(server.bodies)
        assert run_program(words(out, server.url)) == 0  # nothing is left to ask
        assert len(server.bodies) == asked
    assert "pairs are in" in capsys.readouterr().out
    assert run_program(words(out)) == 2
    assert "differs in engine.kind" in capsys.readouterr().err


def test_a_server_that_still_holds_the_last_round_is_refused(mini: VLM, other: VLM, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with faulty(Faulty(answer=answering(mini), models=[BASE])) as server, job_at(out, server.url) as job:
        with serving.served(job, 1):
            asked = serving.data_engine(job, 1, serving.data_model(job, 1))
            assert isinstance(asked, ServerEngine)
            assert asked.config.model == BASE
        save(other, job.round(1).model)
        with pytest.raises(Paused, match="holds the model that round 1 started from"), serving.served(job, 2):
            pass
        server.models[:] = ["some/model"]  # now only what it says can tell
        with (
            pytest.raises(Paused, match=r"another model \(it may be the one that round 1 started from\): asked"),
            serving.served(job, 2),
        ):
            pass
        server.answer = answering(other)
        with serving.served(job, 2):
            pass


def test_what_probes_cannot_tell_is_said(mini: VLM, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A round that changed nothing that shows: the name alone can tell."""
    out = tmp_path / "run"
    with faulty(Faulty(answer=answering(mini))) as server, job_at(out, server.url) as job:
        with serving.served(job, 1):
            pass
        save(mini, job.round(1).model)
        with serving.served(job, 2):
            pass
        folder = str(job.round(1).model.resolve())
        assert f"so would the model that round 1 started from: make sure that it holds {folder}" in told(
            capsys.readouterr().out
        )
        server.models[:] = [folder]
        with serving.served(job, 2):
            pass
        assert "so would" not in capsys.readouterr().out


def test_what_an_engine_behind_a_server_cannot_do_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"set model.data_template to same"):
        load_recipe("demo", settings=["engine.kind=server", "model.data_template=llava_v1"])
    with pytest.raises(RecipeError, match="tells no log-probabilities"):
        load_recipe("demo", settings=["engine.kind=server", "filters.names=[unsupported]"])
    with pytest.raises(RecipeError, match="holds whole weights"):
        load_recipe("demo", settings=["engine.kind=vllm", "model.quantize=4bit", "train.method=lora"])
    load_recipe("demo", settings=["engine.kind=vllm", "model.data_template=llava_v1"])


def test_what_can_be_told_early_is_told_before_there_is_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = "engine.server.command=no-such-server {model} {port}"
    assert run_program(words(tmp_path / "run", "http://127.0.0.1:1/v1", missing)) == 2
    assert "no program 'no-such-server' here" in capsys.readouterr().err
    assert not (tmp_path / "run" / "recipe.yaml").exists()
    keyless = "engine.server.api_key_env=NO_SUCH_KEY"
    assert run_program(words(tmp_path / "run", "http://127.0.0.1:1/v1", keyless)) == 2
    assert "NO_SUCH_KEY" in capsys.readouterr().err


@pytest.mark.slow
def test_the_pairs_of_vllm_are_those_of_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stand-in's, that is, tokens included; its process is gone before the training half."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "engines" / "stand_in"))
    monkeypatch.setenv("SENA_STAND_IN", str(tmp_path / "notes"))
    monkeypatch.setattr("sena.engines.vllm.demand", lambda config: None)
    assert run_program(words(tmp_path / "vllm", "", "engine.kind=vllm")) == 0
    assert run_program(words(tmp_path / "local")) == 0
    there, here = (RunFolder(tmp_path / name).round(1) for name in ("vllm", "local"))
    for name in ("images", "questions", "answers", "pairs", "drops", "replies"):
        assert there.table(name).read_bytes() == here.table(name).read_bytes()
    assert (tmp_path / "notes").read_text().count('"enable_mm_embeds": true') == 1


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mini", "hub"])
def test_a_real_server_says_what_the_local_engine_says(model: str, tiny_folder: Path, tmp_path: Path) -> None:
    """`sena serve`, that is transformers' own, started by the run: 30 texts on clean pictures and 30 on spoiled ones.

    `hub` is a LLaVA as the hub has it, whose processor does not say what it was trained with; its weights are random,
    so it often has to choose between tokens that are nearly as likely. Both compute in float32, in which no clean
    picture's text differs. Spoiled pictures are rounded to 255 values and cut off at black and white: of the 30 texts
    one was seen to differ by that.
    """
    start = [sys.executable, "-c", "from sena.cli import main; main()", "serve", "{model}", "--port", "{port}"]
    url = f"http://127.0.0.1:{free_port()}/v1"
    command = "engine.server.command=[" + ", ".join(f"'{word}'" for word in start) + "]"
    name = "mini" if model == "mini" else str(tiny_folder)
    with job_at(tmp_path / "run", url, command, "model.dtype=float32", "model.device=cpu", model=name) as job:
        drawn = draw(job.sources, 6, 0, 1)
        open_image = job.pictures(drawn.images).open
        prompts = [f"{job.recipe.describe.prompts[n]} {job.recipe.describe.suffix}" for n in range(5)]
        requests = [
            Request(f"{image.id} {n} {spoiled}", prompt, image.id, 24, spoiled)
            for image in drawn.images
            for n, prompt in enumerate(prompts)
            for spoiled in (None, Corruption("diffusion", 600, n))
        ]
        local = LocalEngine(job.load_model(0)).generate(requests, open_image)
        with serving.served(job, 1):
            there = serving.data_engine(job, 1, serving.data_model(job, 1)).generate(requests, open_image)
    assert [each.id for each in there] == [each.id for each in local]
    differ = [request for request, a, b in zip(requests, local, there, strict=True) if a.text != b.text]
    assert [request.id for request in differ if request.corruption is None] == []
    assert len(differ) <= 2
    assert len({each.text for each in local}) >= 10
