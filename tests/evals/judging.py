"""A small OpenAI-compatible server on loopback, which answers by a rule and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Heard:
    """Where the server answers, and the bodies and keys that it got."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


@contextmanager
def server(say: Callable[[str], str | int]) -> Iterator[Heard]:
    """`say` gets the prompt and gives the reply, or a number: the HTTP status of a refusal."""
    heard = Heard()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.bodies.append(body)
            heard.keys.append(self.headers["Authorization"])
            said = say(body["messages"][0]["content"])
            message = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
            made = {"id": "x", "object": "chat.completion", "created": 0, "model": body["model"], "choices": [message]}
            refused = {"error": {"message": "refused"}}
            data = json.dumps(refused if isinstance(said, int) else made).encode()
            self.send_response(said if isinstance(said, int) else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    heard.url = f"http://127.0.0.1:{listening.server_address[1]}/v1"
    try:
        yield heard
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
