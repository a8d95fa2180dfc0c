"""The server of `sena view`: the run's page and its rows, to this machine's own browser and to nobody else.

A page of another site must not read a run through the visitor's browser. So whatever names another host than ours
(a rebound name) or comes from another origin is refused, and the page itself may load from nowhere else.
"""

from __future__ import annotations

import json
import shlex
import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sena.errors import SenaError
from sena.recipes import load as recipes
from sena.recipes.recipe import Recipe
from sena.report.explorer import same_pictures
from sena.report.gallery import Look, OpenImage, Pictures
from sena.report.page import WATCHED, outline
from sena.report.read import read_rounds
from sena.report.write import render
from sena.rounds.retell import look
from sena.runs.folder import RunFolder, open_run
from sena.view import flags
from sena.view.rows import answer, exported, opener
from sena.view.store import Query, Store, state_of

HOST = "127.0.0.1"
BESIDE = ("recipe.yaml", "manifest.json", "metrics.jsonl", "log.txt")
MOST_BODY = 10_000
NO_QUERY = (SenaError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
"""What comes of a query that is none."""
ROOM = 60_000_000
"""Bytes of pictures in one answer, at most."""
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


@dataclass
class Desk:
    """What the handlers share. `lock`: one question at a time."""

    run: RunFolder
    store: Store
    open_image: OpenImage
    look: Look | None
    flagged: dict[str, dict[str, Any]]
    lock: threading.Lock = field(default_factory=threading.Lock)

    def pictures(self) -> Pictures:
        """A fresh set for one answer: what was not asked for is not held."""
        return Pictures(self.open_image, self.look, ROOM)


def view(run: str | Path, port: int = 7861) -> None:
    """Serve a run's pages on this machine alone until Ctrl-C. Raises SenaError for a port in use, for a folder that is
    no run, and when a package is missing."""
    uvicorn = _uvicorn()
    desk = open_desk(open_run(Path(run).expanduser()))
    with socket.socket() as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind((HOST, port))
        except OSError as error:
            raise SenaError(f"Port {port} cannot be used ({error.strerror}): give another one with --port") from error
        print(f"Open in a browser: http://{HOST}:{port}/ (Ctrl-C ends it)", flush=True)
        settings = uvicorn.Config(build(desk, port), log_level="warning", access_log=False, server_header=False)
        uvicorn.Server(settings).run(sockets=[door])


def open_desk(run: RunFolder) -> Desk:
    recipe, _ = recipes.load(Recipe, run.recipe)
    flagged = flags.read(run)
    store = Store(run, flagged)
    return Desk(run, store, opener(store, recipe), look(recipe), flagged)


def build(desk: Desk, port: int) -> App:
    """The application. Its handlers run in threads, since they read and decode."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, PlainTextResponse
    from starlette.routing import Route

    def told(request: Any, error: Exception) -> Any:
        return PlainTextResponse(str(error), 400)

    async def flag(request: Any) -> Any:
        body = await request.body()
        if len(body) > MOST_BODY or request.headers.get("content-type") != "application/json":
            raise SenaError("A flag is a small JSON object with id and flagged")
        return JSONResponse(set_flag(desk, json.loads(body)))

    routes = [
        Route("/", lambda request: _html(page(desk))),
        Route("/rows", lambda request: JSONResponse(rows(desk, request.query_params.get("query", "{}")))),
        Route("/favicon.ico", lambda request: PlainTextResponse("", 204)),
        Route("/state", lambda request: PlainTextResponse(state_of(desk.run))),
        Route("/flag", flag, methods=["POST"]),
        Route("/flags.jsonl", lambda request: _lines(flagged_rows(desk))),
        *(Route(f"/{name}", lambda request, name=name: _file(desk.run.path / name)) for name in BESIDE),
    ]
    faults: Any = dict.fromkeys(NO_QUERY, told)
    return guard(Starlette(routes=routes, exception_handlers=faults), port)


def guard(app: App, port: int) -> App:
    """Only what names us as its host, and comes from our own page or from no page, gets to `app`."""
    hosts = {f"{name}:{port}" for name in (HOST, "localhost")}
    origins = {f"http://{host}" for host in hosts}

    async def guarded(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope.get("headers", [])}
        is_ours = headers.get("host") in hosts and headers.get("origin", next(iter(origins))) in origins
        if scope["type"] != "http" or not is_ours or (scope["method"] == "POST" and "origin" not in headers):
            await _refuse(scope, receive, send)
            return
        await app(scope, receive, _with_headers(send))

    return guarded


async def _refuse(scope: Scope, receive: Any, send: Any) -> None:
    from starlette.responses import PlainTextResponse

    if scope["type"] == "http":
        await PlainTextResponse("This page is for this machine's own browser alone.", 403)(scope, receive, send)


def _with_headers(send: Any) -> Any:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            extra = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
            message["headers"] = [*message.get("headers", []), *extra]
        await send(message)

    return sending


def page(desk: Desk) -> str:
    """The run's page as it stands now. Its rows come when the script asks for them."""
    rounds = read_rounds(desk.run)
    with desk.lock:
        state = desk.store.refresh()
        repeated = same_pictures(rounds, desk.pictures(), WATCHED)
    data = {"entries": [], "pictures": {}, "run": shlex.quote(str(desk.run.path)), "remote": True, "state": state}
    return render({**outline(desk.run, rounds), "repeated": repeated, "data": data, "carried": {}})


def rows(desk: Desk, text: str) -> dict[str, Any]:
    """What was asked for, as `explore.js` asks. Raises SenaError, ValueError or TypeError for what is no query."""
    query = Query(**json.loads(text))
    with desk.lock:
        desk.store.refresh()
        return answer(desk.store, query, desk.pictures(), desk.flagged)


def set_flag(desk: Desk, wanted: dict[str, Any]) -> dict[str, Any]:
    """Flag a row or take its flag away, and keep that. Raises SenaError for a row that is not there."""
    name = str(wanted["id"])
    with desk.lock:
        desk.store.refresh()
        found = desk.store.find(Query(id=name)).ids
        if not found:
            raise SenaError(f"There is no row {name[:80]}")
        if wanted["flagged"]:
            desk.flagged[name] = {"id": name, "kept": found[0][1]}
        else:
            desk.flagged.pop(name, None)
        desk.store.flag(name, bool(wanted["flagged"]))
        flags.write(desk.run, desk.flagged)
    return {"flagged": len(desk.flagged)}


def flagged_rows(desk: Desk) -> list[dict[str, Any]]:
    """The flagged rows with all that their tables say of them, to be read by a program; those that went are named."""
    with desk.lock:
        desk.store.refresh()
        return exported(desk.store, desk.flagged)


def _lines(rows: list[dict[str, Any]]) -> Any:
    from starlette.responses import PlainTextResponse

    return PlainTextResponse("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))


def _html(text: str) -> Any:
    from starlette.responses import HTMLResponse

    return HTMLResponse(text)


def _file(path: Path) -> Any:
    from starlette.responses import FileResponse, PlainTextResponse

    if not path.is_file():
        return PlainTextResponse("")
    return FileResponse(path, media_type="text/plain; charset=utf-8")


def _uvicorn() -> Any:
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise SenaError('The viewer needs packages that are not installed: pip install "sena[server]"') from error
    return uvicorn
