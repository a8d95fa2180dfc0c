"""What an engine is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import Field, field_validator

from sena.config import Config
from sena.records import Reply, Request, Score

if TYPE_CHECKING:
    from PIL import Image

OpenImage = Callable[[str], "Image.Image"]
"""From an image id to its RGB picture."""


class Engine(Protocol):
    """Answers come back in the order of the requests, one each. `offers` names what the engine can do."""

    offers: frozenset[Literal["generate", "score"]]

    def generate(self, requests: Sequence[Request], open_image: OpenImage) -> list[Reply]: ...

    def score(self, requests: Sequence[Request], open_image: OpenImage) -> list[Score]: ...


def window(engine: Engine) -> contextlib.AbstractContextManager[None]:
    """Inside of it an engine may keep what it made of a picture from call to call, if it has a `window` of its own.

    It begins and ends with nothing kept, so that what comes of a window's requests depends on them alone.
    """
    opened = getattr(engine, "window", None)
    return opened() if opened else contextlib.nullcontext()


class ServerConfig(Config):
    """Where an OpenAI-compatible server is, and how it is asked. See docs/scaling.md."""

    url: str = Field(default="http://127.0.0.1:8000/v1", pattern=r"^https?://[^/\s@]+(/\S*)?$")
    """Its address, with the `/v1`."""
    model: str = ""
    """How the server calls the model; empty takes the name of the folder, or of the only model that it lists."""
    api_key_env: str = ""
    """The environment variable that holds the key, where one is needed. The key itself has no place in a recipe."""
    concurrency: int = Field(default=32, ge=1)
    """Most requests at a time."""
    timeout: float = Field(default=120, gt=0)
    """Seconds that one request may take."""
    retries: int = Field(default=6, ge=0)
    """Tries after the first one, with pauses that double from half a second to half a minute."""
    command: str | list[str] = ""
    """What starts the server: `sena serve {model} --port {port}`, `vllm serve {model} --port {port}`. No shell reads
    it. Sena starts it before a round's questions and ends it before training. Empty: it is started by hand."""

    @field_validator("command")
    @classmethod
    def _takes_a_model(cls, command: str | list[str]) -> str | list[str]:
        words = command.split() if isinstance(command, str) else command
        if words and not all(any(name in word for word in words) for name in ("{model}", "{port}")):
            raise ValueError("every round has another model: write {model} and {port} where they belong")
        return command


class VllmConfig(Config):
    """How vLLM is started in a process of its own. See docs/scaling.md."""

    python: str = ""
    """The Python of an environment that has vLLM, e.g. `/opt/vllm/bin/python`: it wants other versions of torch and
    transformers than sena. Empty is sena's own."""
    gpu_memory: float = Field(default=0.85, gt=0, lt=1)
    """The share of each GPU's memory that it takes; a little is left for what shows it the pictures."""
    gpus: int = Field(default=1, ge=1)
    """GPUs that it spreads the model over."""
    max_length: int | None = Field(default=None, ge=1)
    """Longest prompt and answer together, in tokens; null is the model's own limit."""


class EngineConfig(Config):
    """How requests are put together. These numbers fix the batch plan, and with it the results to the byte."""

    kind: Literal["local", "server", "vllm"] = "local"
    """Who answers while pairs are made: the model in this process, a server, or vLLM in a process of its own. What is
    measured and scored always takes the local one."""
    server: ServerConfig = Field(default_factory=ServerConfig)
    """For `kind: server`."""
    vllm: VllmConfig = Field(default_factory=VllmConfig)
    """For `kind: vllm`."""
    batch: int = 32
    """Prompts in one batch; halved, and noted, when memory runs out."""
    shard: int = 48
    """Images in a shard: the unit of work and of resume."""
    window: int = 48
    """Images of a shard that are worked on at once."""
    cache_gb: float = Field(default=0, ge=0)
    """Memory for keys and values, half of it for the prefixes of a window's pictures, half for the batch at work. 0
    takes half of what a GPU has beside the weights, or an eighth of the main memory."""
    threads: int = 0
    """CPU threads; 0 takes what the machine has, once, and keeps it for the whole run."""
