"""An S3 on loopback (moto), which tells what was asked of it and can be made to refuse."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest

ERROR = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
Asked = tuple[str, str]
"""Method, and bucket and key; of a listing its prefix with `?` behind the bucket."""


class Bucket:
    """One bucket of the server. `asked` are the requests for it, in the order in which they were answered."""

    def __init__(self, name: str, server: Server) -> None:
        self.name, self.asked, self.server = name, list[Asked](), server
        self.sent = 0
        """Bytes of all answers."""
        self.refuse: Callable[[str, str], tuple[int, str] | None] = lambda method, key: None
        """(status, code) for a request that is to fail, by method and key."""
        self.page = 1000
        """Most objects in an answer to a listing."""

    @property
    def address(self) -> str:
        return f"s3://{self.name}"

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def put_folder(self, folder: Path, prefix: str) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=key)

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """Key below the prefix, and content. Not counted as asked."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
        read = {key: self.client.get_object(Bucket=self.name, Key=key)["Body"].read() for key in keys}
        return {key.removeprefix(prefix).lstrip("/"): data for key, data in read.items()}

    @property
    def client(self) -> Any:
        return self.server.client


class Server:
    """The application between moto and the port."""

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.buckets: dict[str, Bucket] = {}
        self.inner = DomainDispatcherApplication(create_backend_app)
        self.http = make_server("127.0.0.1", 0, self, threaded=True)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.client: Any = None

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        is_ours = "Boto3" in environ.get("HTTP_USER_AGENT", "")  # the tests' own client
        path = unquote(environ.get("RAW_URI", environ["PATH_INFO"]).partition("?")[0])
        name, _, key = path.lstrip("/").partition("/")
        query = parse_qs(environ.get("QUERY_STRING", ""))
        bucket = self.buckets.get(name)
        if bucket is None or is_ours:
            return self.inner(environ, start)
        if "list-type" in query:
            key = f"?{query.get('prefix', [''])[0]}"
            environ["QUERY_STRING"] += f"&max-keys={bucket.page}"
        method = environ["REQUEST_METHOD"]
        refused = bucket.refuse(method, key)
        if refused is not None:
            start(f"{refused[0]} No", [("Content-Type", "application/xml")])
            return [ERROR.format(code=refused[1], message=f"{refused[1]} by the test").encode()]
        answer = list(self.inner(environ, start))
        bucket.asked.append((method, key))
        bucket.sent += sum(map(len, answer))
        return answer


@contextmanager
def served() -> Iterator[Server]:
    """The server, with the environment that leads drivers to it."""
    import boto3

    server = Server()
    threading.Thread(target=server.http.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("AWS_ENDPOINT_URL", server.url),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_CONFIG_FILE", "/nowhere"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere"),
            ("NO_PROXY", "127.0.0.1"),
            ("no_proxy", "127.0.0.1"),
        ):
            patch.setenv(name, value)
        server.client = boto3.client("s3", endpoint_url=server.url)
        try:
            yield server
        finally:
            server.http.shutdown()


def new_bucket(server: Server, name: str) -> Bucket:
    server.client.create_bucket(Bucket=name)
    server.buckets[name] = Bucket(name, server)
    return server.buckets[name]
