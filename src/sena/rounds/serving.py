"""Who answers in a round's data half, and that a server holds the model that the round starts from.

A server is started before the data half and ended after it, or its user is asked to; either way it has to say of a
made picture what the model says here. Measuring, scoring and watching always take the model in this process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sena import files
from sena.engines import probes
from sena.engines.local import LocalEngine
from sena.engines.probes import Probe
from sena.engines.server import NotServed, ServerEngine, model_name
from sena.engines.started import port, started
from sena.engines.vllm import VllmEngine
from sena.errors import Paused
from sena.models.bound import bound
from sena.models.load import load_without_weights
from sena.models.servable import servable
from sena.models.vlm import VLM
from sena.rounds.job import Job
from sena.text import join, printable

DataEngine = LocalEngine | ServerEngine | VllmEngine


def data_model(job: Job, number: int) -> VLM:
    """The model that round `number` starts from; without its weights where another process holds them."""
    if job.recipe.engine.kind == "local":
        return job.load_model(job.start_of(number))
    vlm = load_without_weights(job.model_of(job.start_of(number)))
    bound(vlm, job.recipe.model.picture_tokens)
    return vlm


def data_engine(job: Job, number: int, vlm: VLM) -> DataEngine:
    """Who answers in round `number`, inside of `served`. One with a `close` has to be closed."""
    engine, model = job.recipe.engine, job.recipe.model
    if engine.kind == "local":
        return job.engine(vlm)
    if engine.kind == "vllm":
        return VllmEngine(vlm, engine.vllm, job.plan["dtype"], model.device, job.run.path / "vllm.log")
    name = _kept(job, number)["served"]
    return ServerEngine(vlm, engine.server.model_copy(update={"model": name}))


@contextlib.contextmanager
def served(job: Job, number: int) -> Iterator[None]:
    """Inside of it the server, where the recipe has one, holds the model that round `number` starts from.

    Raises Paused when its user has to start it with that model, SenaError when the one that sena started is not it.
    """
    if job.recipe.engine.kind == "vllm":
        job.release_model()  # vLLM needs its room
    if job.recipe.engine.kind != "server":
        yield
        return
    config = job.recipe.engine.server
    wanted = _wanted(job, number)
    job.release_model()  # the server may need its room
    folder = servable(_absolute(job.model_of(job.start_of(number))), job.round(number).path / "served")
    if config.command:
        job.say(f"  starting the server of {folder}")
        with started(config, folder, job.run.path / "server.log"):
            _verify(job, number, folder, wanted)
            yield
        return
    try:
        _verify(job, number, folder, wanted)
    except NotServed as error:
        raise Paused(
            f"The run waits: round {number} needs a server of the model {folder}. {error}. To go on, end what is "
            f"there, type in another terminal: sena serve {folder} --port {port(config)} (or what else serves that "
            "model), and when it answers, here the same command again."
        ) from error
    yield


def _verify(job: Job, number: int, folder: str, wanted: list[Probe]) -> None:
    """Ask the server what the model itself was asked. Raises NotServed when it is another one's."""
    config = job.recipe.engine.server
    name = model_name(config, folder)
    asked = ServerEngine(data_model(job, number), config.model_copy(update={"model": name}))
    said = probes.replies(asked, wanted)
    others = {each: _kept(job, each) for each in range(1, number) if job.start_of(each) != job.start_of(number)}
    stale = [each for each, kept in others.items() if kept["model"] == name]
    if stale:
        raise NotServed(f"The server at {config.url} holds the model that round {stale[0]} started from")
    passing = [each for each, kept in others.items() if probes.fit(_probes(kept), said)]
    if not probes.fit(wanted, said):
        whose = f" (it may be the one that round {passing[0]} started from)" if passing else ""
        raise NotServed(f"The server at {config.url} holds another model{whose}: {_difference(wanted, said)}")
    files.write_json(_place(job, number), {**_kept(job, number), "served": name})
    job.say(f"  the server at {config.url} says what the round's model says to {len(wanted)} probes")
    if passing and name != folder:
        job.say(f"  so would the model that round {passing[0]} started from: make sure that it holds {folder}")


def _wanted(job: Job, number: int) -> list[Probe]:
    """What the round's model says to the probes, asked once in this process and kept."""
    place, recipe = _place(job, number), job.recipe
    if not place.is_file():
        describe, question = recipe.describe.prompts[0], recipe.question.prompts[0]
        prompts = [question, describe, join(describe, recipe.describe.suffix)]
        made = probes.ask(job.load_model(job.start_of(number)), prompts)
        model = _absolute(job.model_of(job.start_of(number)))
        files.write_json(place, {"model": model, "probes": [asdict(each) for each in made]})
    return _probes(_kept(job, number))


def _place(job: Job, number: int) -> Path:
    return job.round(number).path / "server.json"


def _kept(job: Job, number: int) -> dict[str, Any]:
    """`model`, where the round's model lies, its `probes`, and once it was found there `served`, how the server calls
    it; of a round that never asked a server, nothing that could be taken for a model."""
    place = _place(job, number)
    return files.read_json(place) if place.is_file() else {"model": None, "probes": []}


def _probes(kept: dict[str, Any]) -> list[Probe]:
    return [Probe(**each) for each in kept["probes"]]


def _difference(wanted: list[Probe], said: list[str]) -> str:
    probe, text = next((probe, text) for probe, text in zip(wanted, said, strict=True) if not probe.fits(text))
    asked, theirs, ours = map(_short, (probe.prompt, text, probe.text))
    return f"asked {asked} about a made picture it says {theirs}, the round's model {ours}"


def _short(text: str) -> str:
    line = " ".join(printable(text).split())
    return repr(line if len(line) <= 60 else f"{line[:57]}...")


def _absolute(name: str) -> str:
    """A model's folder from the root, so that every program finds it; the name of one on the hub as it is."""
    folder = Path(name).expanduser()
    return str(folder.resolve()) if folder.is_dir() else name
