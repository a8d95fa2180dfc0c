"""One answer in pieces, while the model still writes it."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from queue import SimpleQueue
from typing import Any

import torch

from sena.engines import plain
from sena.models import encode
from sena.models.vlm import VLM
from sena.records import Request
from sena.text import printable

ESCAPE_LENGTH = 32
"""Characters behind an escape character that are held back, since a control sequence may still be coming."""


class _Stopped(Exception):
    """Nobody listens any more."""


class _Tokens:
    """What `generate` hands its tokens to, one call each; the first call brings the prompt."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[int | None] = SimpleQueue()
        self.stop = threading.Event()
        self.prompt_came = False

    def put(self, ids: torch.Tensor) -> None:
        if self.stop.is_set():
            raise _Stopped
        if self.prompt_came:
            self.queue.put(int(ids.reshape(-1)[0]))
        self.prompt_came = True

    def end(self) -> None:
        """The queue's end is told by the thread, also when the model fails."""


def stream(vlm: VLM, request: Request, ids: list[int], pixels: encode.Pixels | None) -> Generator[str, None, None]:
    """The answer to the prompt `ids` in pieces that join to its whole text. The model works in a thread of its own.

    Closing the iterator (or Ctrl-C) stops the model at its next token. Raises what the model raised.
    """
    tokens, faults = _Tokens(), []

    def work() -> None:
        try:
            with torch.inference_mode():
                plain.answer(vlm, [request], [ids], [pixels], streamer=tokens)
        except _Stopped:
            pass
        except BaseException as error:
            faults.append(error)
        finally:
            tokens.queue.put(None)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield from _pieces(vlm, tokens.queue)
    finally:
        tokens.stop.set()
        thread.join()
    if faults:
        raise faults[0]


def _pieces(vlm: VLM, queue: SimpleQueue[Any]) -> Iterator[str]:
    """The growing text, decoded whole each time: a token alone does not know its blanks or the rest of its letter."""
    made: list[int] = []
    shown, text = 0, ""
    while (token := queue.get()) is not None:
        made.append(token)
        text = encode.decode(vlm, made)
        if len(text) > shown and not text.endswith("\ufffd"):
            yield text[shown:]
            shown = len(text)
    if len(text) > shown:
        yield text[shown:]


def cleaned(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces for a terminal or a page: no control character comes through, nor what belongs to one."""
    held = ""
    for piece in pieces:
        held += piece
        start = held.rfind("\x1b")
        end = start if start >= 0 and len(held) - start < ESCAPE_LENGTH else len(held)
        clean, held = printable(held[:end]), held[end:]
        if clean:
            yield clean
    if clean := printable(held):
        yield clean
