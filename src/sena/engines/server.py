"""The server engine: any OpenAI-compatible endpoint that takes pictures (vLLM, SGLang, `sena serve`).

Pictures go as PNG, spoiled before they are sent (seen.py), since no endpoint takes a model's own input. Only as many
requests are made as are under way. A server computes in batches of its own, so texts may differ from the local
engine's where two words are nearly as likely.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from sena.engines.base import OpenImage, ServerConfig
from sena.engines.client import PASSING, Client, library, refusal
from sena.engines.seen import Seen
from sena.errors import SenaError
from sena.models.vlm import VLM
from sena.records import Reply, Request, Score
from sena.text import printable

T = TypeVar("T")


class NotServed(SenaError):
    """The model is not to be had there: nobody answers, or another model does."""


@dataclass(slots=True)
class ServerEngine:
    """Asks the server of `config`. `vlm` is the model that it holds, weights not needed: it tells how pictures are
    shown and which letters would be read as special tokens.

    `faults` counts tries that came to nothing, by kind, and replies without text. A batch of this engine is one prompt.
    """

    vlm: VLM
    config: ServerConfig
    offers: frozenset[Literal["generate", "score"]] = frozenset({"generate"})
    faults: Counter[str] = field(default_factory=Counter)
    batch: int = 1
    halvings: int = 0
    why: str = ""
    _name: str = ""
    _seen: Seen = field(init=False)
    _special: list[str] = field(init=False)
    _window: bool = False

    def __post_init__(self) -> None:
        self._seen = Seen(self.vlm)
        self._special = special_texts(self.vlm)

    @contextlib.contextmanager
    def window(self) -> Iterator[None]:
        """Pictures are encoded once inside of it; image ids have to mean the same pictures throughout."""
        self._seen.clear()
        self._window = True
        try:
            yield
        finally:
            self._window = False
            self._seen.clear()

    def generate(self, requests: Sequence[Request], open_image: OpenImage) -> list[Reply]:
        """Greedy for temperature 0, else as the server draws with the request's seed. The order is kept.

        Raises SenaError, in one sentence, when the server refuses a request or is gone for good.
        """
        if not requests:
            return []
        self._name = self._name or model_name(self.config, self.vlm.name)
        replies = _run(self._all(requests, open_image))
        if not self._window:
            self._seen.clear()
        return replies

    def score(self, requests: Sequence[Request], open_image: OpenImage) -> list[Score]:
        """Servers tell no probabilities of given answers. Raises NotImplementedError; `offers` says so beforehand."""
        raise NotImplementedError("a server engine cannot score")

    def take_faults(self) -> dict[str, int]:
        """`faults` since the last call."""
        taken = dict(self.faults)
        self.faults.clear()
        return taken

    async def _all(self, requests: Sequence[Request], open_image: OpenImage) -> list[Reply]:
        httpx = library()
        config, made = self.config, dict[int, Reply]()
        client = Client(config.url.rstrip("/"), config.timeout, config.retries, self.faults)
        gate = asyncio.Semaphore(config.concurrency)

        async def one(place: int, body: dict[str, Any]) -> None:
            try:
                text, finished = await client.said(http, body)
            finally:
                gate.release()
            if not text:
                self.faults["empty reply"] += 1
            made[place] = Reply(requests[place].id, text, finished)

        limits = httpx.Limits(max_connections=config.concurrency, max_keepalive_connections=config.concurrency)
        async with httpx.AsyncClient(limits=limits, **_way(config)) as http:
            try:
                async with asyncio.TaskGroup() as tasks:
                    for place, request in enumerate(requests):
                        await gate.acquire()
                        tasks.create_task(one(place, await asyncio.to_thread(self._body, request, open_image)))
            except ExceptionGroup as group:
                raise group.exceptions[0] from group
        return [made[place] for place in range(len(requests))]

    def _body(self, request: Request, open_image: OpenImage) -> dict[str, Any]:
        """The request as the endpoint takes it: its picture first, as every template here has it."""
        url = self._seen.url(request, open_image)
        picture = [{"type": "image_url", "image_url": {"url": url}}] if url else []
        text = {"type": "text", "text": harmless(request.prompt, self._special)}
        body = {
            "model": self._name,
            "messages": [{"role": "user", "content": [*picture, text]}],
            "max_tokens": request.max_new_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
        }
        # else some servers draw from the likeliest words alone, as the checkpoint's settings may say
        return body | {"top_p": 1.0} if request.temperature > 0 else body


def special_texts(vlm: VLM) -> list[str]:
    """What its special tokens look like as text, the longest first."""
    texts = {vlm.tokenizer.convert_ids_to_tokens(index) for index in vlm.special_ids}
    return sorted((text for text in texts if len(text) > 1), key=lambda text: (-len(text), text))


def harmless(prompt: str, special: Sequence[str]) -> str:
    """The prompt with a blank in every special token that somebody typed: a server may not know them from its own."""
    for text in special:
        prompt = prompt.replace(text, f"{text[0]} {text[1:]}")
    return prompt


def model_name(config: ServerConfig, folder: str) -> str:
    """How the server calls the model. Raises NotServed when it lists several others, else as `models` does."""
    if config.model:
        return config.model
    listed = models(config)
    if folder in listed or len(listed) == 1:
        return folder if folder in listed else listed[0]
    known = printable(", ".join(listed[:5])) or "no model"
    raise NotServed(f"The server at {config.url} lists {known}: say in engine.server.model which one is meant")


def models(config: ServerConfig) -> list[str]:
    """The models that the server lists. Raises NotServed while none is there or ready, and SenaError when what is there
    refuses, or is no such server."""
    httpx = library()
    try:
        with httpx.Client(**_way(config)) as http:
            reply = http.get(f"{config.url.rstrip('/')}/models")
    except httpx.RequestError as error:
        raise NotServed(f"No server answers at {config.url} ({error}): start it, or set engine.server.url") from error
    if reply.status_code in PASSING:
        raise NotServed(f"The server at {config.url} is not ready (HTTP {reply.status_code})")
    if reply.status_code != 200:
        raise SenaError(refusal(config.url, reply.status_code, reply.text))
    try:
        return [str(each["id"]) for each in reply.json()["data"]]
    except (ValueError, KeyError, TypeError) as error:
        raise SenaError(f"What answers at {config.url} lists no models: engine.server.url should end in /v1") from error


def demand(config: ServerConfig) -> None:
    """What can be told without a server. Raises SenaError for a missing package or key."""
    library()
    _way(config)


def _way(config: ServerConfig) -> dict[str, Any]:
    """How HTTP is spoken to it: with the key, and to this machine never through a proxy."""
    headers = {}
    if config.api_key_env:
        key = os.environ.get(config.api_key_env)
        if not key:
            raise SenaError(f"engine.server.api_key_env: the environment has no {config.api_key_env}: export the key")
        headers = {"Authorization": f"Bearer {key}"}
    is_here = urlsplit(config.url).hostname in ("127.0.0.1", "localhost", "::1")
    return {"timeout": config.timeout, "headers": headers, "trust_env": not is_here}


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Wait for `work`, also below a notebook's own loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
