"""An OpenAI-compatible endpoint: the server of transformers or of vLLM, told which folder to serve and how."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from sena.errors import SenaError
from sena.models.servable import servable
from sena.recipes import names

HOST = "127.0.0.1"
ENGINES = ("transformers", "vllm")
SAFE = '{"sanitize_control_tokens": true}'
"""Special tokens that a user types stay the letters that they are."""
CURL = """
  printf '{"model": "MODEL", "messages": [{"role": "user", "content": [
    {"type": "text", "text": "What is in this picture?"},
    {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,%s"}}]}]}' "$(base64 -w0 photo.jpg)" |
  curl http://HOST/v1/chat/completions -H 'Content-Type: application/json' -d @-
"""


def serve(model: str | Path, port: int = 8000, engine: str = "transformers") -> None:
    """Serve a model, or a run's last one, on this machine alone until Ctrl-C. Clients name the model as printed.

    Raises SenaError for an engine that is unknown or not installed, a port in use, a model that is not there, and
    when the server ends by itself.
    """
    name = names.model_or_run(str(model))
    command(name, port, engine)
    _demand_free(port)
    with tempfile.TemporaryDirectory(prefix="sena-serve-") as place:
        _run(str(model), servable(name, Path(place)), port, engine)


def _run(model: str, name: str, port: int, engine: str) -> None:
    """The server until it ends or is ended, with the address once it answers."""
    offline = {"HF_HUB_OFFLINE": "1"} if Path(name).is_dir() else {}
    with subprocess.Popen(command(name, port, engine), env={**os.environ, **offline}) as server:
        try:
            _wait(server, port)
            print(f"{model} answers at http://{HOST}:{port}/v1 as the model {name} (Ctrl-C ends it). Try it:")
            print(CURL.replace("MODEL", name).replace("HOST", f"{HOST}:{port}"), flush=True)
            server.wait()
        except KeyboardInterrupt:
            pass
        finally:
            server.terminate()
    if server.returncode > 0:
        raise SenaError(f"The server of {engine} ended by itself (exit code {server.returncode}): read its words above")


def command(name: str, port: int, engine: str) -> list[str]:
    """What is run. Raises SenaError for an engine that is unknown or not installed."""
    if engine not in ENGINES:
        raise SenaError(f"There is no engine {engine!r}: known are {' and '.join(ENGINES)}")
    where = ["--host", HOST, "--port", str(port)]
    if engine == "vllm":
        if importlib.util.find_spec("vllm") is None:
            raise SenaError("vLLM is not installed: pip install vllm, or leave --engine away for that of transformers")
        return [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", name, *where]
    if importlib.util.find_spec("fastapi") is None or importlib.util.find_spec("uvicorn") is None:
        raise SenaError('The server needs packages that are not installed: pip install "sena[server]"')
    start = "from transformers.cli.transformers import main; main()"
    return [sys.executable, "-c", start, "serve", name, *where, "--chat-template-kwargs", SAFE]


def _demand_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise SenaError(f"Port {port} cannot be used ({error.strerror}): give another one with --port") from error


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    """Until it answers, or has ended."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while server.poll() is None:
        try:
            with direct.open(f"http://{HOST}:{port}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
