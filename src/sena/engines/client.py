"""One prompt to an OpenAI-compatible server, until a reply comes that can be used.

What may pass is tried again after a pause that doubles each time, with jitter; a server that asks for a pause gets it,
from all requests. What will not pass (no such model, a wrong key, a prompt it refuses) is told at once.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from sena.errors import SenaError
from sena.text import printable

if TYPE_CHECKING:
    import httpx

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
PASSING = (408, 409, 425, 429, 500, 502, 503, 504)
"""HTTP statuses that another try may not meet."""
MENDS = {
    401: "put a valid key into the variable that engine.server.api_key_env names",
    403: "put a valid key into the variable that engine.server.api_key_env names",
    404: "engine.server.url should end in /v1, and engine.server.model name a model that it serves",
    413: "raise its limit on requests, or lower model.picture_tokens",
}


def library() -> Any:
    """httpx. Raises SenaError that names what to install."""
    try:
        import httpx
    except ImportError as error:
        raise SenaError('Asking a server needs a package that is not installed: pip install "sena[server]"') from error
    return httpx


class Fault(Exception):
    """A try that came to nothing. `kind` is one of a few fixed words, `pause` what the server asks for, in seconds."""

    def __init__(self, kind: str, detail: str = "", pause: float | None = None) -> None:
        super().__init__(f"{kind} ({detail})" if detail else kind)
        self.kind, self.pause = kind, pause


@dataclass(slots=True)
class Client:
    """Asks the server at `url` (ending in /v1). A try takes at most `timeout` seconds; after the first one come
    `retries` more. Rate limits do not count as tries, but no request waits longer for them than all tries may take.

    `faults` counts tries that came to nothing, by kind.
    """

    url: str
    timeout: float
    retries: int
    faults: Counter[str] = field(default_factory=Counter)
    _resting: float = 0.0
    """Until when the server wants no request, on the monotonic clock."""

    async def said(self, http: httpx.AsyncClient, body: dict[str, Any]) -> tuple[str, bool]:
        """The text of the reply to a chat request, and whether it ended by itself.

        Raises SenaError, in one sentence, when the server refuses or is gone for good.
        """
        deadline = time.monotonic() + (self.retries + 1) * self.timeout
        tries = failed = 0
        while True:
            await asyncio.sleep(max(0.0, self._resting - time.monotonic()) * random.uniform(1, 1.25))
            try:
                return read(await self._posted(http, body))
            except Fault as fault:
                self.faults[fault.kind] += 1
                tries += 1
                failed += fault.kind != "rate limit"
                pause = self._pause(fault, failed)
                if failed > self.retries or time.monotonic() + pause > deadline:
                    raise SenaError(
                        f"The server at {self.url} gave no usable answer in {tries} tries (the last: "
                        f"{printable(str(fault))}): look after it, then type the same command to go on"
                    ) from fault
            await asyncio.sleep(pause)

    def _pause(self, fault: Fault, failed: int) -> float:
        """Seconds until the next try. A pause that the server asks for is kept by all requests."""
        if fault.pause is not None:
            self._resting = max(self._resting, time.monotonic() + fault.pause)
            return fault.pause * random.uniform(1, 1.25)
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** max(0, failed - 1)) * random.uniform(0.5, 1)

    async def _posted(self, http: httpx.AsyncClient, body: dict[str, Any]) -> Any:
        """The JSON that comes back. Raises Fault, or SenaError for what no further try can mend."""
        httpx = library()
        try:
            async with asyncio.timeout(self.timeout):
                reply = await http.post(f"{self.url}/chat/completions", json=body)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Fault("time-out", f"none within {self.timeout:g} s") from error
        except httpx.ConnectError as error:
            raise Fault("no connection", str(error)) from error
        except httpx.RequestError as error:
            raise Fault("broken connection", str(error)) from error
        if reply.status_code in PASSING:
            kind = "rate limit" if reply.status_code == 429 else "server error"
            raise Fault(kind, f"HTTP {reply.status_code}", asked_pause(reply.headers))
        if reply.status_code != 200:
            raise SenaError(refusal(self.url, reply.status_code, reply.text))
        try:
            return reply.json()
        except ValueError as error:
            raise Fault("garbled reply", "no JSON") from error


def read(reply: Any) -> tuple[str, bool]:
    """Text and whether it ended by itself, of a chat completion. Raises Fault when it is none."""
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise Fault("garbled reply", "without choices")
    message, end = choices[0].get("message"), choices[0].get("finish_reason")
    if end not in ("stop", "length"):
        raise Fault("wrong end", f"finish_reason {end!r}")
    text = message.get("content") if isinstance(message, dict) else 0
    if text is None:  # how some servers write that nothing was said
        text = ""
    if not isinstance(text, str) or _has_surrogates(text):
        raise Fault("garbled reply", "without a text")
    return text.strip(), end == "stop"


def _has_surrogates(text: str) -> bool:
    """Halves of characters: JSON can hold them, no file can."""
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def asked_pause(headers: Mapping[str, str]) -> float | None:
    """Seconds that Retry-After asks for, given as a number or a date; None where it asks for nothing readable."""
    asked = headers.get("retry-after", "")
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def refusal(url: str, status: int, text: str) -> str:
    """The sentence for a request that the server will never take."""
    mend = MENDS.get(status, "its log says more")
    return f"The server at {url} refuses (HTTP {status}: {printable(text[:300]).strip() or 'no reason given'}): {mend}"
