"""The vLLM engine against a stand-in that takes vLLM's calls as vLLM does, and answers them by transformers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sena.engines import eyes, vllm, vllm_process
from sena.engines.base import VllmConfig, window
from sena.engines.local import LocalEngine
from sena.engines.vllm import VllmEngine
from sena.errors import SenaError
from sena.models.load import load_without_weights
from sena.models.vlm import VLM
from sena.records import Corruption, Request
from tests.engines.test_started import alive

STAND_IN = Path(__file__).parent / "stand_in"
REAL_DEMAND = vllm.demand
NOISE = Corruption("diffusion", 600, seed=7)


@pytest.fixture(autouse=True)
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the engine's process imports as vllm. This process goes on without one."""
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN))
    monkeypatch.setenv("SENA_STAND_IN", str(tmp_path / "notes"))
    monkeypatch.setattr(vllm, "demand", lambda config: None)


@pytest.fixture
def engine(tiny_folder: Path, tmp_path: Path) -> Iterator[VllmEngine]:
    vlm = load_without_weights(str(tiny_folder))
    made = VllmEngine(vlm, VllmConfig(gpu_memory=0.5, max_length=900), "float32", "cpu", tmp_path / "log")
    yield made
    made.close()


def notes(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "notes").read_text().splitlines()]


def open_image(name: str) -> Image.Image:
    turn = {"a": 0, "b": 90}[name]
    return Image.linear_gradient("L").convert("RGB").rotate(turn).resize((40, 30))


def asked() -> list[Request]:
    """Two pictures in turn, clean and spoiled, one prompt without any and one with letters of special tokens."""
    turns = [(name, spoiled) for name in "ab" for spoiled in (None, NOISE)] * 3
    made = [
        Request(f"r{n}", f"What is number {n}?", name, 5 + n % 2, spoiled) for n, (name, spoiled) in enumerate(turns)
    ]
    return [*made, Request("t", "No picture here.", None, 6), Request("s", "</s> <image> typed", "a", 6)]


def test_replies_are_the_local_engines(engine: VllmEngine, tiny: VLM, tmp_path: Path) -> None:
    """Tokens and all, since the picture's tokens are the local engine's own; two calls in a window send a look once."""
    local = LocalEngine(tiny, batch=4)
    with window(engine), window(local):
        assert engine.generate(asked(), open_image) == local.generate(asked(), open_image)
        assert engine.generate(asked()[:4], open_image) == local.generate(asked()[:4], open_image)
    told = notes(tmp_path)
    assert told[0] == {
        "model": engine.vlm.name,
        "dtype": "float32",
        "seed": 0,
        "trust_remote_code": False,
        "load_format": "safetensors",
        "tensor_parallel_size": 1,
        "gpu_memory_utilization": 0.5,
        "max_model_len": 900,
        "enable_prefix_caching": True,
        "limit_mm_per_prompt": {"image": 1},
        "enable_mm_embeds": True,
    }
    uuids = [each["image"][0] if each else None for each in told[1]["uuids"]]
    spoiled = [f"{name} diffusion 600 7" for name in "ab"]
    assert uuids == [None, *["a"] * 4, *[spoiled[0]] * 3, *["b"] * 3, *[spoiled[1]] * 3]  # picture by picture


@pytest.mark.slow
def test_other_families_are_shown_pictures(
    engine: VllmEngine, tiny: VLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clean ones to the token; spoiled ones are cut off at black and white on the way."""
    monkeypatch.setattr(eyes, "FAMILIES", frozenset())
    clean = [each for each in asked() if each.corruption is None]
    assert engine.generate(clean, open_image) == LocalEngine(tiny, batch=4).generate(clean, open_image)
    assert len(engine.generate(asked(), open_image)) == len(asked())
    assert notes(tmp_path)[0]["enable_mm_embeds"] is False


@pytest.mark.slow
def test_an_id_may_name_another_picture_outside_a_window(engine: VllmEngine, tmp_path: Path) -> None:
    """Nothing is kept from call to call then: the look is sent again, which the stand-in notices by its content."""
    engine.generate(asked()[:1], open_image)
    with pytest.raises(SenaError, match="a names two pictures"):
        engine.generate(asked()[:1], lambda name: open_image("b"))


def test_eyes_are_the_model_without_its_language_half(tiny_folder: Path, tiny: VLM) -> None:
    seeing = eyes.eyes(str(tiny_folder), "float32", "cpu")
    count = sum(weight.numel() for weight in seeing.model.parameters())
    halves = [tiny.model.model.language_model, tiny.model.lm_head]
    assert count == sum(weight.numel() for weight in tiny.model.parameters()) - sum(
        weight.numel() for half in halves for weight in half.parameters()
    )


@pytest.mark.slow
def test_it_ends_with_its_memory_and_starts_again(engine: VllmEngine) -> None:
    (first,) = engine.generate(asked()[:1], open_image)
    assert engine._child is not None
    pid = engine._child.pid
    begun = time.monotonic()
    engine.close()
    assert not alive(pid)
    assert time.monotonic() - begun < vllm.PATIENCE / 2  # by itself
    assert engine.generate(asked()[:1], open_image) == [first]
    engine.close()
    engine.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("refuse", r"ValueError: No available memory .* Try increasing\)"),
        ("die", "process ended"),
    ],
)
def test_what_fails_is_one_sentence(engine: VllmEngine, monkeypatch: pytest.MonkeyPatch, fault: str, told: str) -> None:
    monkeypatch.setenv("SENA_STAND_IN_FAULT", fault)
    with pytest.raises(SenaError, match=rf"vLLM failed \(.*{told}.*log says more"):
        engine.generate(asked()[:1], open_image)
    assert engine._child is None


def test_its_process_is_told_by_file_and_needs_nothing_of_sena(tmp_path: Path) -> None:
    """vLLM lives in an environment of its own. `-S` leaves out this one's packages, so that sena would be missed."""
    ours, theirs = socket.socketpair()
    words = [sys.executable, "-P", "-S", vllm_process.__file__, str(theirs.fileno())]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    (tmp_path / "vllm.py").write_text("def LLM(**options):\n    raise RuntimeError(options['model'])\n")
    with subprocess.Popen(words, pass_fds=[theirs.fileno()], env=environment, stderr=subprocess.DEVNULL):
        theirs.close()
        pipe = Connection(ours.detach())
        pipe.send_bytes(b'{"model": "some/model"}')
        assert json.loads(pipe.recv_bytes()) == {"failed": "RuntimeError: some/model"}
        pipe.close()
    with pytest.raises(SenaError, match=r"engine\.vllm\.python: there is no program '/no/python'"):
        REAL_DEMAND(VllmConfig(python="/no/python"))
    REAL_DEMAND(VllmConfig(python=sys.executable))


def test_it_says_what_to_install_and_what_it_cannot(engine: VllmEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert "vllm" not in os.environ.get("PYTHONPATH", "")
    with pytest.raises(SenaError, match=r"vLLM is not installed beside sena: .*engine\.vllm\.python"):
        engine.generate(asked()[:1], open_image)
    with pytest.raises(NotImplementedError):
        engine.score(asked()[:1], open_image)
    assert engine.generate([], open_image) == []
