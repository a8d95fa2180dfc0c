"""The endpoint: started by the command line, asked by OpenAI's own client, equal to `sena ask`."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import sena
from sena.errors import SenaError
from sena.mini import world
from sena.models.template import VICUNA_V1_SYSTEM
from sena.serve import endpoint
from tests.serve.make import finished_run
from tests.serve.test_web import free_port

QUESTION = "describe this picture . answer in one sentence ."


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return finished_run(tmp_path / "run").path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Wider than high, so that padding shows."""
    from PIL import Image

    wide = Image.new("RGB", (96, 48), (200, 40, 40))
    wide.paste(world.render(world.make_scene("evaluation", 3)), (20, 0))
    wide.save(tmp_path / "wide.png")
    return tmp_path / "wide.png"


@pytest.fixture
def server(run: Path, tmp_path: Path) -> Iterator[int]:
    """The port of `sena serve RUN`, ready. What it prints goes to a file: select() on a pipe that is read by lines
    misses a line that came together with the one before, as the server's own note of a request does."""
    port = free_port()
    arguments = [sys.executable, "-c", "from sena.cli import main; main()", "serve", str(run), "--port", str(port)]
    words = tmp_path / "words"
    with words.open("w") as out, subprocess.Popen(arguments, stdout=out, stderr=subprocess.STDOUT) as process:
        try:
            end = time.monotonic() + 300  # a busy machine takes its time
            while f"answers at http://127.0.0.1:{port}/v1" not in (printed := words.read_text()):
                assert process.poll() is None, printed
                assert time.monotonic() < end, printed
                time.sleep(0.2)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    with socket.socket() as probe:  # nothing is left behind
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.slow
def test_openais_client_gets_what_ask_gets(server: int, run: Path, picture: Path) -> None:
    import openai

    client = openai.OpenAI(base_url=f"http://127.0.0.1:{server}/v1", api_key="none")
    model = client.models.list().data[0].id
    assert model == str(run / "round-1" / "model")
    url = "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
    for question in (QUESTION, f"</s> <image> {QUESTION}"):  # special tokens that a user types stay letters
        words = {"type": "text", "text": question}
        content = [words, {"type": "image_url", "image_url": {"url": url}}]
        reply = client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}])  # pyright: ignore
        if question == QUESTION:
            assert reply.choices[0].message.content == sena.ask(run, [picture], question)[0]
        assert reply.choices[0].message.content


def test_mistakes_are_told(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SenaError, match="no engine 'tgi': known are transformers and vllm"):
        endpoint.serve(run, engine="tgi")
    with pytest.raises(SenaError, match="vLLM is not installed: pip install vllm"):
        endpoint.serve(run, engine="vllm")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SenaError, match=r"cannot be used .*give another one with --port"):
            endpoint.serve(run, taken.getsockname()[1])
    with pytest.raises(SenaError, match="holds no model"):
        endpoint.serve("./nowhere")
    monkeypatch.setattr(endpoint, "command", lambda *_: [sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(SenaError, match=r"ended by itself \(exit code 3\)"):
        endpoint.serve(run, free_port())


def test_a_base_from_the_hub_is_served_with_the_template_it_was_trained_with(tiny_folder: Path, tmp_path: Path) -> None:
    """The hub's LLaVA-1.5 lacks the system sentence; what sena saved has it and is served as it lies."""
    from transformers import AutoProcessor

    from sena.models.load import load, save

    folder = Path(endpoint.servable(str(tiny_folder), tmp_path))
    assert VICUNA_V1_SYSTEM in AutoProcessor.from_pretrained(folder).chat_template
    assert VICUNA_V1_SYSTEM not in AutoProcessor.from_pretrained(tiny_folder).chat_template
    assert (folder / "model.safetensors").resolve() == (tiny_folder / "model.safetensors").resolve()
    save(load(str(folder)), tmp_path / "saved")
    assert endpoint.servable(str(tmp_path / "saved"), tmp_path) == str(tmp_path / "saved")


def test_only_this_machine_is_served(run: Path) -> None:
    arguments = endpoint.command(str(run), 8000, "transformers")
    assert arguments[arguments.index("--host") + 1] == "127.0.0.1"
    assert "--trust-remote-code" not in arguments
    assert os.environ.get("HF_HUB_OFFLINE") == "1"  # no test asks the network
