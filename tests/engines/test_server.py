"""The server engine against a server that misbehaves in every way it is told to."""

from __future__ import annotations

import asyncio
import email.utils
import time
from typing import Any

import pytest
from PIL import Image

from sena.engines import client
from sena.engines.base import ServerConfig, window
from sena.engines.client import asked_pause
from sena.engines.server import NotServed, ServerEngine, harmless, models, special_texts
from sena.errors import ImageError, SenaError
from sena.models.load import load_without_weights
from sena.models.vlm import VLM
from sena.records import Corruption, Request
from tests.engines.faulty import WRONG, Faulty, faulty, prompt_of

NOISE = Corruption("diffusion", 600, seed=7)


@pytest.fixture
def vlm(tiny_folder: Any) -> VLM:
    return load_without_weights(str(tiny_folder))


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_PAUSE", 0.01)


def open_image(name: str) -> Image.Image:
    return Image.linear_gradient("L").convert("RGB").resize((40, 30))


def asked(count: int) -> list[Request]:
    return [Request(f"r{n}", f"question {n}", "a", corruption=NOISE if n % 2 else None) for n in range(count)]


def engine(vlm: VLM, server: Faulty, **changes: Any) -> ServerEngine:
    return ServerEngine(vlm, ServerConfig(**{"url": server.url, "concurrency": 4, "timeout": 5, **changes}))


def test_replies_keep_the_order_and_requests_hold_what_was_asked(vlm: VLM) -> None:
    """Later requests are answered sooner here, so that replies come out of order."""
    with faulty(Faulty()) as server:
        server.next_fault = lambda body, number: time.sleep(0.02 * (4 - number % 5)) or ""
        requests = [*asked(9), Request("t", "no picture", None, max_new_tokens=7, temperature=0.5, seed=2**62)]
        asking = engine(vlm, server)
        with window(asking):
            replies = asking.generate(requests, open_image)
    assert [(each.id, each.text) for each in replies] == [(each.id, f"{each.prompt} - seen") for each in requests]
    assert all(each.finished and each.tokens == () and each.stable is None for each in replies)
    bodies = {prompt_of(body): body for body in server.bodies}
    body = bodies["no picture"]
    assert (body["model"], body["max_tokens"], body["temperature"], body["seed"]) == ("some/model", 7, 0.5, 2**62)
    assert body["top_p"] == 1.0
    assert [part["type"] for part in body["messages"][0]["content"]] == ["text"]
    clean, spoiled = (bodies[f"question {n}"]["messages"][0]["content"][0]["image_url"]["url"] for n in (0, 1))
    assert clean != spoiled
    assert clean == bodies["question 2"]["messages"][0]["content"][0]["image_url"]["url"]
    assert clean.startswith("data:image/png;base64,")


def test_no_more_requests_are_under_way_than_allowed(vlm: VLM) -> None:
    with faulty(Faulty(pause=0.05)) as server:
        engine(vlm, server, concurrency=3).generate(asked(12), open_image)
    assert server.most == 3


def test_every_fault_is_tried_again_and_counted(vlm: VLM) -> None:
    """Each kind once, so a request needs at most as many tries as there are kinds."""
    faults = [*WRONG, "drop", "truncate", "delay", "500", "503 0.01"]
    with faulty(Faulty(lambda body, number: faults[number - 1] if number <= len(faults) else "")) as server:
        asking = engine(vlm, server, timeout=1.5, retries=len(faults))
        replies = asking.generate(asked(8), open_image)
    assert [reply.text for reply in replies] == [f"question {n} - seen" for n in range(8)]
    assert len(server.bodies) == 8 + len(faults)
    assert dict(asking.faults) == {
        "garbled reply": len(WRONG) - 2,
        "wrong end": 2,
        "broken connection": 2,
        "time-out": 1,
        "server error": 2,
    }


def test_a_cut_reply_and_an_empty_one_are_replies(vlm: VLM) -> None:
    with faulty(Faulty(lambda body, number: ("length", "silent")[int(prompt_of(body)[-1])])) as server:
        asking = engine(vlm, server)
        replies = asking.generate(asked(2), open_image)
    assert [(reply.text, reply.finished) for reply in replies] == [("cut", False), ("", True)]
    assert dict(asking.faults) == {"empty reply": 1}


def test_a_rate_limit_rests_all_requests_and_is_no_try(vlm: VLM) -> None:
    """The first two are refused; the server asks for 0.4 s, in which nobody asks, whatever the tries that are left."""
    with faulty(Faulty(lambda body, number: "429 0.4" if number <= 2 else "")) as server:
        asking = engine(vlm, server, concurrency=2, retries=0)
        replies = asking.generate(asked(6), open_image)
    assert len(replies) == 6
    assert asking.faults["rate limit"] == 2
    times = [each - server.times[0] for each in server.times]
    assert all(each >= 0.39 for each in times[2:])


def test_a_server_that_limits_for_ever_is_given_up(vlm: VLM) -> None:
    with (
        faulty(Faulty(lambda body, number: "429 0.05")) as server,
        pytest.raises(SenaError, match=r"no usable answer in \d+ tries .*rate limit \(HTTP 429\)"),
    ):
        engine(vlm, server, timeout=1.0, retries=0).generate(asked(1), open_image)
    assert len(server.bodies) > 2


def test_what_retry_after_says() -> None:
    assert asked_pause({"retry-after": "7"}) == 7
    date = email.utils.formatdate(time.time() + 60, usegmt=True)
    assert asked_pause({"retry-after": date}) == pytest.approx(60, abs=2)
    assert asked_pause({"retry-after": email.utils.formatdate(0)}) == 0
    assert asked_pause({"retry-after": "soon"}) is None
    assert asked_pause({}) is None


def test_a_server_that_goes_for_good_is_one_sentence(vlm: VLM) -> None:
    with faulty(Faulty(lambda body, number: "drop" if number > 3 else "")) as server:
        asking = engine(vlm, server, concurrency=1, retries=2)
        with pytest.raises(SenaError, match=r"gave no usable answer in 3 tries \(the last: broken connection"):
            asking.generate(asked(9), open_image)
        assert len(server.bodies) == 3 + 3  # nobody goes on asking
        asking._name = "some/model"
    with pytest.raises(SenaError, match="no connection"):
        asking.generate(asked(1), open_image)
    with pytest.raises(SenaError, match=r"No server answers at .*set engine.server.url"):
        engine(vlm, server).generate(asked(1), open_image)


@pytest.mark.parametrize(
    ("status", "mend"), [("400", "its log says more"), ("401", "api_key_env"), ("404", "end in /v1"), ("413", "limit")]
)
def test_what_cannot_pass_is_not_tried_again(vlm: VLM, status: str, mend: str) -> None:
    """The server's words are shown without what steers a terminal."""
    with (
        faulty(Faulty(lambda body, number: status)) as server,
        pytest.raises(SenaError, match=rf"refuses \(HTTP {status}: no\): .*{mend}"),
    ):
        engine(vlm, server, concurrency=1).generate(asked(3), open_image)
    assert len(server.bodies) == 1


def test_which_model_is_meant(vlm: VLM) -> None:
    with faulty(Faulty(models=["a", "b"])) as server:
        with pytest.raises(SenaError, match=r"lists a, b: say in engine\.server\.model"):
            engine(vlm, server).generate(asked(1), open_image)
        engine(vlm, server, model="b").generate(asked(1), open_image)
        server.models.append(vlm.name)
        engine(vlm, server).generate(asked(1), open_image)
    assert [body["model"] for body in server.bodies] == ["b", vlm.name]


def test_who_is_there_and_who_is_not(vlm: VLM) -> None:
    """Not ready is waited for; what refuses would refuse for ever."""
    with faulty(Faulty(list_status=503)) as server:
        config = engine(vlm, server).config
        with pytest.raises(NotServed, match=r"not ready \(HTTP 503\)"):
            models(config)
        server.list_status = 401
        with pytest.raises(SenaError, match="refuses") as told:
            models(config)
        assert not isinstance(told.value, NotServed)
        with pytest.raises(SenaError, match="lists no models"):
            models(config.model_copy(update={"url": f"{server.url}/not-json"}))
    with pytest.raises(NotServed, match="No server answers"):
        models(config)


def test_the_key_goes_in_the_header_alone(vlm: VLM, monkeypatch: pytest.MonkeyPatch) -> None:
    with faulty(Faulty(lambda body, number: "401")) as server:
        asking = engine(vlm, server, api_key_env="SOME_KEY")
        with pytest.raises(SenaError, match="the environment has no SOME_KEY"):
            asking.generate(asked(1), open_image)
        monkeypatch.setenv("SOME_KEY", "tell-nobody")
        with pytest.raises(SenaError) as told:
            asking.generate(asked(1), open_image)
    assert server.headers[0]["Authorization"] == "Bearer tell-nobody"
    assert "tell-nobody" not in str(told.value)


def test_no_proxy_stands_between_this_machine_and_itself(vlm: VLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with faulty(Faulty()) as server:
        assert engine(vlm, server).generate(asked(1), open_image)


def test_special_tokens_that_somebody_typed_are_broken(vlm: VLM) -> None:
    special = special_texts(vlm)
    assert harmless("a <image> and </s><s>.", special) == "a < image> and < /s>< s>."
    assert harmless("plain < text >", special) == "plain < text >"
    with faulty(Faulty()) as server:
        engine(vlm, server).generate([Request("r", "one <image> more", "a")], open_image)
    assert prompt_of(server.bodies[0]) == "one < image> more"


def test_it_works_inside_a_running_loop(vlm: VLM) -> None:
    """As in a notebook."""
    with faulty(Faulty()) as server:

        async def cell() -> int:
            return len(engine(vlm, server).generate(asked(2), open_image))

        assert asyncio.run(cell()) == 2


def test_a_picture_that_cannot_be_read_is_told_as_it_is(vlm: VLM) -> None:
    def gone(name: str) -> Image.Image:
        raise ImageError("missing", name)

    with faulty(Faulty()) as server, pytest.raises(ImageError, match="missing: a"):
        engine(vlm, server).generate(asked(3), gone)


def test_a_server_cannot_score(vlm: VLM) -> None:
    with faulty(Faulty()) as server:
        asking = engine(vlm, server)
        assert asking.offers == {"generate"}
        with pytest.raises(NotImplementedError):
            asking.score(asked(1), open_image)
        assert asking.generate([], open_image) == []


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host/v1", "http://name:word@host/v1", "http:///v1", ""])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        ServerConfig(url=url)
