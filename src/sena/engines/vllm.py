"""The vLLM engine: its offline `LLM` in a process of its own, which ends, with all its memory, before training.

Prompts are cut into tokens here, so that text that a model wrote never becomes a special token, and go out picture by
picture, so that each prefix is still in the cache for the next prompt on it. Where vLLM takes a picture's tokens
(eyes.py), it is shown exactly what the local engine shows; other families get pictures (seen.py).
Written against vLLM 0.33, tested against a stand-in: we had no GPU to run it on.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from sena.engines import eyes, plain, vllm_process
from sena.engines.base import OpenImage, VllmConfig
from sena.engines.looks import Looks
from sena.engines.seen import Seen
from sena.errors import SenaError
from sena.models import encode
from sena.models.vlm import VLM
from sena.records import Reply, Request, Score
from sena.text import printable

PATIENCE = 30.0
"""Seconds that the process has to end by itself."""


@dataclass(slots=True)
class VllmEngine:
    """Asks vLLM about `vlm`, whose weights are not needed here; they lie in the folder `vlm.name`.

    Started by the first request, ended by `close`. `log` gets what vLLM says.
    """

    vlm: VLM
    config: VllmConfig
    dtype: str
    device: str
    log: Path
    offers: frozenset[Literal["generate", "score"]] = frozenset({"generate"})
    batch: int = 1
    halvings: int = 0
    why: str = ""
    _child: subprocess.Popen[bytes] | None = None
    _pipe: Connection | None = None
    _eyes: VLM | None = None
    _looks: Looks = field(default_factory=Looks)
    _seen: Seen = field(init=False)
    _sent: set[str] = field(default_factory=set)
    _forget: bool = False
    _window: bool = False

    def __post_init__(self) -> None:
        self._seen = Seen(self.vlm)
        if not hasattr(self.vlm.model, "generation_config"):
            self.vlm.model.generation_config = _generation(self.vlm)

    @contextlib.contextmanager
    def window(self) -> Iterator[None]:
        """Each look is made and sent once inside of it; image ids have to mean the same pictures throughout."""
        self._clear()
        self._window = True
        try:
            yield
        finally:
            self._window = False
            self._clear()

    def generate(self, requests: Sequence[Request], open_image: OpenImage) -> list[Reply]:
        """Greedy for temperature 0, else as vLLM draws with the request's seed. The order is kept.

        Raises SenaError, in one sentence, when vLLM cannot be started or fails.
        """
        if not requests:
            return []
        order = sorted(range(len(requests)), key=lambda place: (look_name(requests[place]) or "", place))
        ordered = [requests[place] for place in order]
        self._start()
        made = self._asked(ordered, open_image)
        replies = [
            plain.reply(self.vlm, request, _ended(self.vlm, ids, end))
            for request, (ids, end) in zip(ordered, made, strict=True)
        ]
        if not self._window:
            self._clear()
        return [reply for _, reply in sorted(zip(order, replies, strict=True), key=lambda pair: pair[0])]

    def score(self, requests: Sequence[Request], open_image: OpenImage) -> list[Score]:
        """Not offered. Raises NotImplementedError; `offers` says so beforehand."""
        raise NotImplementedError("the vLLM engine does not score")

    def close(self) -> None:
        """End the process, and free what it held. A later request starts it again."""
        if self._pipe is not None:
            self._pipe.close()
        if self._child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(PATIENCE)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)  # its group: vLLM starts processes of its own
            self._child.wait()
        self._pipe = self._child = self._eyes = None
        self._clear()

    def _start(self) -> None:
        if self._child is not None:
            return
        demand(self.config)
        if self.vlm.family in eyes.FAMILIES:
            self._eyes = eyes.eyes(self.vlm.name, self.dtype, self.device)
        ours, theirs = socket.socketpair()
        with open(self.log, "ab") as log, theirs:
            self._child = subprocess.Popen(
                [self.config.python or sys.executable, "-P", vllm_process.__file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for sena, which ends it
            )
        self._pipe = Connection(ours.detach())
        self._tell(options(self.vlm.name, self.config, self.dtype, self._eyes is not None))
        self._heard()

    def _asked(self, requests: Sequence[Request], open_image: OpenImage) -> list[tuple[list[int], str | None]]:
        """New ids of each request and how they ended. Looks that vLLM does not hold yet go along."""
        new: dict[str, bytes] = {}
        for request in requests:
            name = look_name(request)
            if name is not None and name not in self._sent | new.keys():
                new[name] = self._look(request, open_image)
        kind = "picture" if self._eyes is None else "tokens"
        prompts = [self._prompt(request) for request in requests]
        self._tell({"forget": self._forget, "looks": [(name, kind) for name in new], "prompts": prompts})
        for data in new.values():
            self._send(data)
        self._sent |= new.keys()
        self._forget = False
        return self._heard()["made"]

    def _look(self, request: Request, open_image: OpenImage) -> bytes:
        if self._eyes is None:
            return self._seen.png(request, open_image)
        from safetensors.torch import save

        return save({"tokens": eyes.look_at(self._eyes, self._looks, request, open_image).contiguous()})

    def _prompt(self, request: Request) -> dict[str, Any]:
        """Ids with one placeholder, which vLLM itself makes as many of as the picture has tokens."""
        one = encode.Pixels({}, self.vlm.processor.image_token)
        sampling = {
            "temperature": request.temperature,
            "max_tokens": request.max_new_tokens,
            "seed": request.seed,
            "stop_token_ids": list(self.vlm.stop_ids),
        }
        ids = encode.prompt_ids(self.vlm, request.prompt, None if request.image is None else one)
        return {"ids": ids, "look": look_name(request), "sampling": sampling}

    def _tell(self, value: dict[str, Any]) -> None:
        self._send(json.dumps(value).encode())

    def _send(self, data: bytes) -> None:
        assert self._pipe is not None
        with contextlib.suppress(OSError):  # it has ended: hearing nothing tells
            self._pipe.send_bytes(data)

    def _heard(self) -> dict[str, Any]:
        assert self._pipe is not None
        try:
            heard = json.loads(self._pipe.recv_bytes())
        except (EOFError, OSError):
            heard = {"failed": "its process ended"}
        if "failed" in heard:
            self.close()
            raise SenaError(f"vLLM failed ({printable(heard['failed'])[:300]}): {self.log} says more")
        return heard

    def _clear(self) -> None:
        self._looks.clear()
        self._seen.clear()
        self._sent.clear()
        self._forget = True


def demand(config: VllmConfig) -> None:
    """Raises SenaError when there is no such Python, or vLLM is not installed in sena's own."""
    if config.python:
        if shutil.which(config.python) is None:
            raise SenaError(f"engine.vllm.python: there is no program {config.python!r} here: name that of vLLM's venv")
    elif importlib.util.find_spec("vllm") is None:
        raise SenaError(
            "vLLM is not installed beside sena: install it into an environment of its own (it needs a GPU) and name "
            "that one's Python in engine.vllm.python, or set engine.kind to local"
        )


def options(model: str, config: VllmConfig, dtype: str, tokens: bool) -> dict[str, Any]:
    """What of the recipe goes to `vllm.LLM`. `tokens` are a picture's own, in place of the picture."""
    return {
        "model": model,
        "dtype": dtype,
        "tensor_parallel_size": config.gpus,
        "gpu_memory_utilization": config.gpu_memory,
        "enable_mm_embeds": tokens,
        **({"max_model_len": config.max_length} if config.max_length else {}),
    }


def look_name(request: Request) -> str | None:
    """One name for one look, by which vLLM's caches know it again."""
    if request.image is None:
        return None
    spoiled = request.corruption
    return f"{request.image} {spoiled.kind} {spoiled.strength} {spoiled.seed}" if spoiled else request.image


def _generation(vlm: VLM) -> Any:
    """How the model's texts end, as transformers finds it when it loads the weights."""
    from transformers import GenerationConfig

    try:
        return GenerationConfig.from_pretrained(vlm.name)
    except OSError:  # a checkpoint without the file
        return GenerationConfig.from_model_config(vlm.model.config)


def _ended(vlm: VLM, ids: list[int], end: str | None) -> list[int]:
    """The ids with a stop id behind them when they ended by themselves: some endings leave it out."""
    is_told = end != "stop" or any(index in vlm.stop_ids for index in ids)
    return ids if is_told else [*ids, vlm.end_id]
