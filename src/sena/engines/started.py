"""A server that sena starts by the recipe's command, and ends."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from sena.engines import server, vllm
from sena.engines.base import EngineConfig, ServerConfig
from sena.engines.server import NotServed, models
from sena.errors import SenaError

LONGEST_START = 3600.0
"""Seconds after which a server that still does not answer is given up: large models take long to load."""


@contextlib.contextmanager
def started(config: ServerConfig, model: str, log: Path) -> Iterator[None]:
    """The server of `config.command` with `model`, ready, until the end of the block. What it says goes to `log`.

    Raises SenaError when another one answers there already, when there is no such program, and when it ends or does
    not answer in time.
    """
    words = command(config, model)
    if answers(config):
        raise SenaError(
            f"A server answers at {config.url} already: end it, since this run starts its own (engine.server.command)"
        )
    with open(log, "ab") as told:
        leash = subprocess.Popen(
            [sys.executable, "-P", "-m", "sena.engines.leash", *words],
            stdin=subprocess.PIPE,
            stdout=told,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for sena, which lets go of the leash
        )
    assert leash.stdin is not None
    try:
        _await(config, leash, log)
        yield
    finally:
        leash.stdin.close()
        leash.wait()


def demand(engine: EngineConfig) -> None:
    """What can be told before an engine is needed. Raises SenaError for a missing package, key or program."""
    if engine.kind == "vllm":
        vllm.demand(engine.vllm)
    if engine.kind == "server":
        server.demand(engine.server)
        if engine.server.command:
            command(engine.server, "")


def command(config: ServerConfig, model: str) -> list[str]:
    """The words of the command. Raises SenaError when there is no such program."""
    words = shlex.split(config.command) if isinstance(config.command, str) else config.command
    if not words or shutil.which(words[0]) is None:
        raise SenaError(f"engine.server.command: there is no program {words[0] if words else ''!r} here: install it")
    return [word.replace("{model}", model).replace("{port}", port(config)) for word in words]


def port(config: ServerConfig) -> str:
    """The port of its address."""
    address = urlsplit(config.url)
    return str(address.port or (443 if address.scheme == "https" else 80))


def answers(config: ServerConfig) -> bool:
    """Whether a server is there and ready. Raises SenaError when it refuses, or something else is there."""
    try:
        models(config)
    except NotServed:
        return False
    return True


def _await(config: ServerConfig, leash: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + LONGEST_START
    while not answers(config):
        if leash.poll() is not None:
            raise SenaError(
                f"The server ended before it was ready (exit code {leash.returncode}): {log} holds its words, "
                "engine.server.command how it is started"
            )
        if time.monotonic() > end:
            raise SenaError(f"The server gave no answer at {config.url} in {LONGEST_START:.0f} s: {log} says more")
        time.sleep(0.2)
