"""An OpenAI-compatible server on loopback that misbehaves as it is told, and remembers what it was asked.

Behind `answering` there is a model, so that it is as good as any other when it is told nothing.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch
from PIL import Image

from sena.models.vlm import VLM


@dataclass
class Faulty:
    """`next_fault(body, number)` names what becomes of the request with this number; empty is a right reply."""

    next_fault: Callable[[dict[str, Any], int], str] = lambda body, number: ""
    answer: Callable[[dict[str, Any]], str] = lambda body: f"{prompt_of(body)} - seen"
    models: list[str] = field(default_factory=lambda: ["some/model"])
    list_status: int = 200
    pause: float = 0.0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    most: int = 0
    """Requests at the same time, at most."""
    url: str = ""
    _here: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arrive(self, body: dict[str, Any], headers: dict[str, str]) -> str:
        with self._lock:
            self._here += 1
            self.most = max(self.most, self._here)
            self.bodies.append(body)
            self.times.append(time.monotonic())
            self.headers.append(headers)
            return self.next_fault(body, len(self.bodies))

    def leave(self) -> None:
        with self._lock:
            self._here -= 1


def said(text: Any, finish: Any = "stop") -> bytes:
    return json.dumps(
        {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": finish}]}
    ).encode()


def prompt_of(body: dict[str, Any]) -> str:
    return body["messages"][0]["content"][-1]["text"]


def answering(vlm: VLM) -> Callable[[dict[str, Any]], str]:
    """Answers by transformers' own template and processor on what was sent, one prompt at a time, greedily."""
    lock = threading.Lock()

    def answer(body: dict[str, Any]) -> str:
        parts = body["messages"][0]["content"]
        turns = [{"role": "user", "content": [_part(each) for each in parts]}]
        inputs = vlm.processor.apply_chat_template(
            turns, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
        with lock, torch.inference_mode():
            made = vlm.model.generate(**inputs, max_new_tokens=body["max_tokens"], do_sample=False)
        new = made[0, inputs["input_ids"].shape[1] :]
        return vlm.tokenizer.decode(new, skip_special_tokens=True)

    return answer


def _part(part: dict[str, Any]) -> dict[str, Any]:
    if part["type"] == "text":
        return part
    data = base64.b64decode(part["image_url"]["url"].partition(",")[2])
    return {"type": "image", "image": Image.open(io.BytesIO(data))}


WRONG: dict[str, bytes] = {
    "garble": b"\x00\xff{]",
    "half json": said("right")[:-9],
    "no choices": b'{"error": "none"}',
    "empty choices": b'{"choices": []}',
    "tool": said(None, "tool_calls"),
    "no end": said("cut off", None),
    "no text": said({"a": 1}),
    "surrogate": said("\ud800"),
    "null": b"null",
}
"""Bodies that come with status 200 and are no reply."""


class Handler(BaseHTTPRequestHandler):
    told: Faulty
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None: ...

    def do_GET(self) -> None:
        if "not-json" in self.path:
            self._send(b"<html>")
        else:
            listed = {"data": [{"id": name} for name in self.told.models]}
            self._send(json.dumps(listed).encode(), self.told.list_status)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fault = self.told.arrive(body, dict(self.headers))
        try:
            time.sleep(self.told.pause)
            self._fail(fault, body) if fault else self._send(said(self.told.answer(body)))
        except OSError:
            pass  # the client has gone
        finally:
            self.told.leave()

    def _fail(self, fault: str, body: dict[str, Any]) -> None:
        if fault in WRONG:
            self._send(WRONG[fault])
        elif fault == "drop":
            self._hang_up()
        elif fault == "truncate":
            self._send(said("half")[:20], length=200)
            self._hang_up()
        elif fault == "delay":
            time.sleep(3.0)
            self._send(said("too late"))
        elif fault == "length":
            self._send(said(" cut ", "length"))
        elif fault == "silent":
            self._send(said(None))
        else:  # "429 0.3" is a status and what Retry-After says
            status, _, pause = fault.partition(" ")
            self._send(b"\x1b[31mno\x1b[0m", int(status), extra={"Retry-After": pause} if pause else {})

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()

    def _send(self, data: bytes, status: int = 200, length: int = 0, extra: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length or len(data)), **(extra or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@contextlib.contextmanager
def faulty(server: Faulty) -> Iterator[Faulty]:
    """`server` at work, its `url` set."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"told": server}))
    http.daemon_threads = True
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
