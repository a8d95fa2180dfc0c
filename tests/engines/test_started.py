"""A server that sena starts: ready before the block, gone after it with all that it started, whatever ends sena."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sena.engines import leash, started
from sena.engines.base import EngineConfig, ServerConfig
from sena.errors import SenaError
from tests.engines.faulty import Faulty, faulty
from tests.serve.test_web import free_port

SERVER = """
import http.server, json, subprocess, sys, os
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
open(sys.argv[3], "w").write(f"{os.getpid()} {child.pid}")
print("model", sys.argv[1], "port", sys.argv[2], flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'{"data": [{"id": "m"}]}')
http.server.HTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
"""
"""A server with a process of its own below it, as vLLM has; its pids go to the file that is its third word."""


def config(tmp_path: Path, script: str = SERVER) -> ServerConfig:
    command = [sys.executable, "-c", script, "{model}", "{port}", str(tmp_path / "pids")]
    return ServerConfig(url=f"http://127.0.0.1:{free_port()}/v1", command=command)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pids: list[int], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while any(alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(alive(pid) for pid in pids)


def pids(tmp_path: Path) -> list[int]:
    return [int(word) for word in (tmp_path / "pids").read_text().split()]


def test_it_is_ready_inside_and_gone_outside(tmp_path: Path) -> None:
    asked = config(tmp_path)
    with started.started(asked, "/some/model", tmp_path / "log"):
        assert started.answers(asked)
        assert all(alive(pid) for pid in pids(tmp_path))
    assert not started.answers(asked)
    assert gone(pids(tmp_path), 1)
    assert (tmp_path / "log").read_text().startswith(f"model /some/model port {started.port(asked)}\n")


def test_it_is_gone_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), started.started(config(tmp_path), "m", tmp_path / "log"):
        raise ZeroDivisionError
    assert gone(pids(tmp_path), 1)


def test_it_does_not_outlive_sena(tmp_path: Path) -> None:
    """Killed without a chance to clean up."""
    asked = config(tmp_path)
    script = (
        "import sys, time, pathlib\nfrom sena.engines.base import ServerConfig\n"
        "from sena.engines.started import started\n"
        f"with started(ServerConfig.model_validate_json(sys.argv[1]), 'm', pathlib.Path({str(tmp_path / 'log')!r})):\n"
        "    print('ready', flush=True)\n    time.sleep(300)\n"
    )
    sena = subprocess.Popen([sys.executable, "-c", script, asked.model_dump_json()], stdout=subprocess.PIPE)
    assert sena.stdout is not None
    assert sena.stdout.readline() == b"ready\n"
    os.kill(sena.pid, signal.SIGKILL)
    sena.wait()
    sena.stdout.close()
    assert gone(pids(tmp_path))


def test_one_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    deaf = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVER
    asked = config(tmp_path, deaf)
    script = "import sys\nfrom sena.engines import leash\nleash.PATIENCE = 0.2\nsys.exit(leash.main(sys.argv[1:]))"
    words = [sys.executable, "-c", script, *started.command(asked, "m")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as held:
        while not started.answers(asked):
            time.sleep(0.02)
        assert held.stdin is not None
        held.stdin.close()
        assert held.wait(10) == 128 + signal.SIGKILL
    assert gone(pids(tmp_path), 1)


def test_what_may_be_wrong_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, log = config(tmp_path, "import sys; sys.exit('no GPU at all')"), tmp_path / "log"
    with (
        pytest.raises(SenaError, match=r"ended before it was ready \(exit code 1\): .*log holds its words"),
        started.started(asked, "m", log),
    ):
        pass
    assert "no GPU at all" in log.read_text()
    with (
        faulty(Faulty()) as server,
        pytest.raises(SenaError, match=r"answers at .* already: end it"),
        started.started(asked.model_copy(update={"url": server.url}), "m", log),
    ):
        pass
    with pytest.raises(SenaError, match="there is no program 'no-such-server' here"):
        started.demand(EngineConfig(kind="server", server=ServerConfig(command="no-such-server {model} {port}")))
    with pytest.raises(SenaError, match="vLLM is not installed"):
        started.demand(EngineConfig(kind="vllm"))
    monkeypatch.setattr(started, "LONGEST_START", 0.3)
    with (
        pytest.raises(SenaError, match=r"gave no answer at .* in 0 s"),
        started.started(config(tmp_path, "import time; time.sleep(60)"), "m", log),
    ):
        pass


def test_words_of_the_command() -> None:
    """As a shell would cut them, and no other braces are read."""
    text = f"""{sys.executable} serve '{{model}}' --port {{port}} --kwargs '{{"a b": {{}}}}' --name {{model}}/x"""
    found = started.command(ServerConfig(url="http://127.0.0.1:81/v1", command=text), "/a model")
    assert found == [
        sys.executable,
        "serve",
        "/a model",
        "--port",
        "81",
        "--kwargs",
        '{"a b": {}}',
        "--name",
        "/a model/x",
    ]
    assert started.port(ServerConfig(url="https://host/v1")) == "443"
    assert started.port(ServerConfig(url="http://host/v1")) == "80"
    for wrong in ("vllm serve {model}", ["vllm", "serve", "--port", "{port}"]):
        with pytest.raises(ValueError, match=r"write \{model\} and \{port\}"):
            ServerConfig(command=wrong)


def test_a_program_that_cannot_be_started(capsys: pytest.CaptureFixture[str]) -> None:
    assert leash.main(["/nowhere/at-all"]) == 127
    assert "cannot be started" in capsys.readouterr().err
