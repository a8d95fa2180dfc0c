"""Ranks for tests: real processes over gloo, each running one function of `tests/invariants/scenes.py`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch

from sena.align import ranks
from tests.invariants import scenes


def play(scene: str, place: Path, size: int) -> list[subprocess.CompletedProcess[str]]:
    """Run `scene` on `size` ranks with the folder `place`. All must end within five minutes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    base = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(size)}
    command = [sys.executable, "-m", "tests.invariants.crew", scene, str(place)]
    started = [
        subprocess.Popen(
            command,
            env={**base, "OMP_NUM_THREADS": "1", "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    try:
        told = [each.communicate(timeout=300) for each in started]
    finally:
        for each in started:
            each.kill()
    return [
        subprocess.CompletedProcess(command, each.returncode, *out) for each, out in zip(started, told, strict=True)
    ]


if __name__ == "__main__":
    torch.set_num_threads(1)
    with ranks.joined(torch.device("cpu")):
        getattr(scenes, sys.argv[1])(Path(sys.argv[2]))
