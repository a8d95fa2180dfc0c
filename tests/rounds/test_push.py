"""What goes to the hub, against a stand-in for it on this machine: who asked for what, and which bytes came."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import sena
from sena.errors import SenaError
from tests.serve.make import finished_run


class Hub(ThreadingHTTPServer):
    """Repositories by kind and name, each with its privacy and files. Takes every file by the way of small ones."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos: dict[tuple[str, str], dict[str, Any]] = {}
        self.tokens: set[str | None] = set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def reply(self, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        _, _, kinds, repo = self.path.partition("?")[0].split("/", 3)
        found = self.server.repos[kinds.removesuffix("s"), repo]
        self.reply({"id": repo, "private": found["private"], "sha": "0" * 40, "siblings": []})

    def do_POST(self) -> None:
        self.server.tokens.add(self.headers.get("Authorization"))
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        parts = self.path.partition("?")[0].removeprefix("/api/").split("/")
        if parts == ["validate-yaml"]:
            self.reply({"errors": [], "warnings": []})
        elif parts == ["repos", "create"]:
            self.create(json.loads(body))
        elif parts[3] == "preupload":
            files = json.loads(body)["files"]
            self.reply({"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]})
        elif parts[3] == "commit":
            lines = [json.loads(line) for line in body.splitlines()]
            files = self.server.repos[parts[0].removesuffix("s"), "/".join(parts[1:3])]["files"]
            for line in lines:
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            oid = "1" * 40
            url = f"{self.server.address}/{'/'.join(parts[1:3])}/commit/{oid}"
            self.reply({"success": True, "commitOid": oid, "commitUrl": url})

    def create(self, asked: dict[str, Any]) -> None:
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        kind = asked.get("type") or "model"
        if (kind, name) in self.server.repos:
            self.reply({"error": "it exists", "url": f"{self.server.address}/{name}"}, 409)
            return
        private = asked.get("private", asked.get("visibility") == "private")
        self.server.repos[kind, name] = {"private": private, "files": {}}
        self.reply({"url": f"{self.server.address}/{name}", "name": name})


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def push(hub: Hub, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The verb in a process of its own, since the hub's client reads its address when it is imported."""
    environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0", "HF_TOKEN": "hf_secret"}
    environment |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "no_proxy": "127.0.0.1"}
    command = [sys.executable, "-c", "from sena.cli import main; main()", "push", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_model_goes_private_and_whole(hub: Hub, tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", rounds=2)
    told = push(hub, str(run.path), "me/better", "--dry-run")
    assert told.returncode == 0, told.stderr
    assert hub.repos == {}
    done = push(hub, str(run.path), "me/better")
    assert done.returncode == 0, done.stderr
    (repo,) = hub.repos.values()
    assert list(hub.repos) == [("model", "me/better")]
    assert repo["private"] is True
    assert hub.tokens == {"Bearer hf_secret"}
    files, folder = repo["files"], run.round(2).model
    assert set(files) == {path.name for path in folder.iterdir()}
    for name, data in files.items():
        assert f"{len(data):>15,} bytes  {name}\n" in told.stdout  # what the dry run said, to the byte
        assert name == "README.md" or data == (folder / name).read_bytes()
    assert 'name = "me/better"' in files["README.md"].decode()
    assert done.stdout.rstrip().endswith(f"It is at {hub.address}/me/better/commit/{'1' * 40}")


def test_pairs_go_as_a_data_set(hub: Hub, tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run")
    done = push(hub, str(run.path), "me/pairs", "--pairs", "--public")
    assert done.returncode == 0, done.stderr
    repo = hub.repos["dataset", "me/pairs"]
    assert repo["private"] is False
    assert set(repo["files"]) == {"README.md", "data/train.parquet"}
    assert sena.export(run.path, "trl", tmp_path / "export").pairs == 8
    assert repo["files"]["data/train.parquet"] == (tmp_path / "export" / "pairs.parquet").read_bytes()


def test_a_public_repository_is_not_taken_unawares(hub: Hub, tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run")
    hub.repos["model", "me/open"] = {"private": False, "files": {}}
    done = push(hub, str(run.path), "me/open")
    assert done.returncode == 2
    assert "me/open is public already: give --public if that is meant, or another name" in done.stderr
    assert hub.repos["model", "me/open"]["files"] == {}


def test_mistakes_are_told(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run")
    with pytest.raises(SenaError, match=r"The hub did not take me/x .*log in with `hf auth login`"):
        sena.push(run.path, "me/x")  # tests are offline
    with pytest.raises(SenaError, match="is not a run folder"):
        sena.push(tmp_path, "me/x", dry_run=True)
    with pytest.raises(SenaError, match="no finished round"):
        sena.push(finished_run(tmp_path / "new", rounds=0).path, "me/x", dry_run=True)
