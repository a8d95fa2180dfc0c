"""Who may ask the viewer, what it answers, and what it keeps."""

from __future__ import annotations

import html
import io
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PIL

from sena.errors import ImageError, SenaError
from sena.mini.source import MiniSource
from sena.recipes.recipe import load_recipe
from sena.records import Image
from sena.runs import tables
from sena.view import flags, server
from sena.view.rows import opener
from sena.view.store import Store
from tests.serve.make import finished_run
from tests.view.make import WANTED, desk_of, referenced_run

PORT = 7861
OURS = {"host": f"127.0.0.1:{PORT}"}
FROM_US = {**OURS, "origin": f"http://127.0.0.1:{PORT}"}


@pytest.fixture
def desk(tmp_path: Path) -> server.Desk:
    return desk_of(referenced_run(tmp_path / "run"))


@pytest.fixture
def client(desk: server.Desk) -> Any:
    from starlette.testclient import TestClient

    return TestClient(server.build(desk, PORT), base_url=f"http://127.0.0.1:{PORT}")  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/", "/rows", "/state", "/flags.jsonl", "/recipe.yaml"])
@pytest.mark.parametrize(
    "headers",
    [
        {"host": "example.org"},
        {"host": "127.0.0.1"},
        {"host": f"127.0.0.1:{PORT + 1}"},
        {"host": f"127.0.0.1.example.org:{PORT}"},
        {**OURS, "origin": "http://example.org"},
        {**OURS, "origin": "null"},
        {**OURS, "origin": f"https://127.0.0.1:{PORT}"},
    ],
)
def test_no_other_host_and_no_other_origin_is_served(client: Any, path: str, headers: dict[str, str]) -> None:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 403
    assert "table" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_its_own_page_is_served_whole_and_framed_by_nobody(client: Any, host: str) -> None:
    answer = client.get("/", headers={"host": f"{host}:{PORT}"})
    assert answer.status_code == 200
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"
    assert "connect-src 'self'" in html.unescape(answer.text)
    assert "After round 2 the model hallucinates less" in answer.text
    assert WANTED.id not in answer.text  # rows are asked for


def test_rows_are_what_the_page_shows(client: Any) -> None:
    query = {"query": json.dumps({"sort": "-margin", "count": 2, "words": "apple"})}
    answer = client.get("/rows", params=query, headers=OURS).json()
    assert (answer["total"], answer["all"], len(answer["entries"])) == (16, 20, 2)
    first = next(each for each in answer["entries"] if each["id"] == WANTED.id)
    assert first["notes"] == ["log-probability under the reference, in nats: chosen -11.0, rejected -20.0, margin +9.0"]
    assert answer["pictures"][first["clean"]]["uri"].startswith("data:image/png;base64,")
    assert answer["pictures"][first["spoiled"]]["uri"].startswith("data:image/png;base64,")
    assert first["flagged"] is False


@pytest.mark.parametrize(
    "query",
    [
        "",
        "[]",
        '{"facets": [1]}',
        '{"words": 5}',
        '{"count": "x"}',
        "5",
        '{"nosuch": 1}',
        '{"sort": "id"}',
        '{"ranges": {"margin": 5}}',
        "{",
    ],
)
def test_what_is_no_query_is_told_and_harms_nothing(client: Any, query: str) -> None:
    answer = client.get("/rows", params={"query": query}, headers=OURS)
    assert answer.status_code == 400
    assert client.get("/rows", headers=OURS).json()["all"] == 20


def test_a_flag_is_kept_exported_and_taken_away(client: Any, desk: server.Desk) -> None:
    for row_id in (WANTED.id, WANTED.row_id[:4]):
        client.post("/flag", json={"id": row_id, "flagged": True}, headers=FROM_US)
    exported = client.get("/flags.jsonl", headers=OURS).text
    [line] = [json.loads(line) for line in exported.splitlines()]  # the other is no row
    assert (line["id"], line["kept"], line["round"]) == (WANTED.id, "pair", 1)
    assert (line["prompt"], line["chosen"], line["rejected"]) == (WANTED.prompt, WANTED.chosen, WANTED.rejected)
    assert (line["source"], line["path"]) == ("photos", "1/1.jpg")
    assert set(flags.read(desk.run)) == {WANTED.id}
    query = {"query": json.dumps({"id": WANTED.id})}
    assert client.get("/rows", params=query, headers=OURS).json()["entries"][0]["flagged"] is True
    chosen = {"query": json.dumps({"facets": {"flagged": "yes"}})}
    assert client.get("/rows", params=chosen, headers=OURS).json()["total"] == 1
    client.post("/flag", json={"id": WANTED.id, "flagged": False}, headers=FROM_US)
    assert client.get("/rows", params=chosen, headers=OURS).json()["total"] == 0
    assert client.get("/flags.jsonl", headers=OURS).text == ""


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (OURS, {"id": WANTED.id, "flagged": True}, 403),  # a form of another site sends no origin of ours
        ({**FROM_US, "content-type": "text/plain"}, {"id": WANTED.id, "flagged": True}, 400),
        (FROM_US, {"id": "nosuch", "flagged": True}, 400),
        (FROM_US, {"id": WANTED.id}, 400),
        (FROM_US, {"id": "x" * 20_000, "flagged": True}, 400),
    ],
)
def test_a_flag_that_is_not_ours_is_refused(
    client: Any, desk: server.Desk, headers: dict[str, str], body: dict[str, Any], status: int
) -> None:
    answer = client.post("/flag", content=json.dumps(body), headers={"content-type": "application/json", **headers})
    assert answer.status_code == status
    assert not flags.path_of(desk.run).exists()


def test_only_four_files_of_the_run_are_handed_out(client: Any) -> None:
    assert "model:" in client.get("/recipe.yaml", headers=OURS).text
    for path in ("/round-1/pairs.parquet", "/.lock", "/../run/recipe.yaml", "/%2e%2e/run/recipe.yaml"):
        assert client.get(path, headers=OURS).status_code == 404


def test_the_page_knows_when_the_run_went_on(client: Any, desk: server.Desk) -> None:
    before = client.get("/state", headers=OURS).text
    assert f'"state":"{before}"' in client.get("/", headers=OURS).text
    desk.run.round(2).evidence.unlink()
    assert client.get("/state", headers=OURS).text != before


def test_pictures_are_opened_from_where_they_were_drawn(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run")
    store = Store(run)
    store.refresh()
    open_image = opener(store, load_recipe("demo"))
    drawn = tables.read(run.round(1).images, Image)[0]
    wanted = PIL.open(io.BytesIO(MiniSource().read(drawn.path)))
    assert open_image(drawn.id).tobytes() == wanted.convert("RGB").tobytes()
    with pytest.raises(ImageError, match="unknown"):
        open_image("nosuch")


def test_a_port_in_use_and_a_folder_that_is_no_run_are_told(tmp_path: Path) -> None:
    with pytest.raises(SenaError, match="is not a run folder"):
        server.view(tmp_path)
    run = finished_run(tmp_path / "run", rounds=0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SenaError, match="give another one with --port"):
            server.view(run.path, taken.getsockname()[1])
