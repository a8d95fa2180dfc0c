"""The local engine against transformers one row at a time, and against float64 arithmetic."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Literal

import pytest
import torch
from PIL import Image

from sena.engines.local import LocalEngine
from sena.engines.looks import Looks
from sena.errors import SenaError
from sena.models import encode
from sena.models.vlm import VLM
from sena.records import Corruption, Request

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 60), "blue": (20, 40, 230)}
NOISE = Corruption("diffusion", 600, seed=7)


def open_image(name: str) -> Image.Image:
    return Image.new("RGB", (40, 30), COLOURS[name])


def request(number: int, **changes: object) -> Request:
    image = list(COLOURS)[number % 3]
    base = Request(f"r{number}", f"What is number {number * 37}?", image, max_new_tokens=6 + number % 2)
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


REQUESTS = [request(n, corruption=NOISE if n % 4 == 3 else None, image=None if n == 5 else "red") for n in range(9)]


@pytest.mark.parametrize(("batch", "path"), [(1, "shared"), (4, "shared"), (32, "shared"), (4, "plain")])
def test_greedy_equals_transformers_one_at_a_time(tiny: VLM, batch: int, path: Literal["shared", "plain"]) -> None:
    replies = LocalEngine(tiny, batch=batch, path=path).generate(REQUESTS, open_image)
    assert [reply.id for reply in replies] == [f"r{n}" for n in range(9)]
    for asked, reply in zip(REQUESTS, replies, strict=True):
        pixels = Looks().at(tiny, asked, open_image)
        prompt = encode.prompt_ids(tiny, asked.prompt, pixels)
        out = tiny.model.generate(
            input_ids=torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=asked.max_new_tokens,
            do_sample=False,
            **(pixels.tensors if pixels else {}),
        )
        made = out[0, len(prompt) :].tolist()
        finished = tiny.end_id in made
        assert reply.tokens == tuple(made[: made.index(tiny.end_id)] if finished else made)
        assert reply.finished is finished
        assert reply.text == encode.decode(tiny, made)


def test_a_sample_does_not_depend_on_its_neighbours(tiny: VLM) -> None:
    asked = [request(n, temperature=1.0, seed=n, max_new_tokens=8, image="red") for n in range(5)]
    together = LocalEngine(tiny).generate(asked, open_image)
    alone = [LocalEngine(tiny).generate([each], open_image)[0] for each in asked]
    assert [reply.tokens for reply in together] == [reply.tokens for reply in alone]
    assert len({reply.tokens for reply in together}) == 5
    again = LocalEngine(tiny).generate([dataclasses.replace(asked[0], seed=99)], open_image)
    assert again[0].tokens != together[0].tokens


def test_samples_follow_the_softmax(tiny: VLM) -> None:
    """First tokens of 600 samples against the model's own distribution at temperature 2: total variation under .2."""
    asked = [request(0, temperature=2.0, seed=n, max_new_tokens=1, id=f"s{n}", image="red") for n in range(600)]
    replies = LocalEngine(tiny, batch=200).generate(asked, open_image)
    pixels = Looks().at(tiny, asked[0], open_image)
    assert pixels is not None
    prompt = torch.tensor([encode.prompt_ids(tiny, asked[0].prompt, pixels)])
    with torch.no_grad():
        logits = tiny.model(input_ids=prompt, pixel_values=pixels.tensors["pixel_values"]).logits[0, -1]
    wanted = torch.softmax(logits.double() / 2, 0)
    seen = torch.zeros_like(wanted)
    for reply in replies:
        seen[reply.tokens[0] if reply.tokens else tiny.end_id] += 1 / 600
    top = wanted.topk(5).indices
    assert (seen[top] - wanted[top]).abs().max() < 0.07


def test_score_equals_float64_by_hand(tiny: VLM) -> None:
    asked = [
        dataclasses.replace(each, answer=text)
        for each, text in zip(REQUESTS, ["yes", "A red ball.", ""] * 3, strict=True)
    ]
    scores = LocalEngine(tiny, batch=4).score(asked, open_image)
    tiny.model.double()
    for each, score in zip(asked, scores, strict=True):
        pixels = Looks().at(tiny, each, open_image)
        prompt = encode.prompt_ids(tiny, each.prompt, pixels)
        answer = encode.answer_ids(tiny, each.prompt, each.answer or "", pixels)
        extra = {"pixel_values": pixels.tensors["pixel_values"].double()} if pixels else {}
        with torch.no_grad():
            logits = tiny.model(input_ids=torch.tensor([prompt + answer]), **extra).logits[0]
        table = torch.log_softmax(logits, -1)
        total = sum(table[len(prompt) - 1 + k, index].item() for k, index in enumerate(answer))
        assert score.total == pytest.approx(total, abs=2e-4)
        assert score.mean == pytest.approx(total / len(answer), abs=1e-4)
        assert score.tokens == len(answer)


def test_corruption_changes_the_answer_and_is_seeded(tiny: VLM) -> None:
    clean = Looks().at(tiny, request(0), open_image)
    noisy = Looks().at(tiny, request(0, corruption=NOISE), open_image)
    again = Looks().at(tiny, request(0, corruption=NOISE), open_image)
    assert clean is not None
    assert noisy is not None
    assert again is not None
    assert not torch.equal(clean.tensors["pixel_values"], noisy.tensors["pixel_values"])
    assert torch.equal(noisy.tensors["pixel_values"], again.tensors["pixel_values"])


@pytest.mark.parametrize("path", ["shared", "plain"])
def test_out_of_memory_halves_the_batch(
    tiny: VLM, monkeypatch: pytest.MonkeyPatch, path: Literal["shared", "plain"]
) -> None:
    wanted = LocalEngine(tiny, path=path).generate(REQUESTS, open_image)
    real, limit = tiny.model.forward, 2

    @functools.wraps(real)
    def cramped(input_ids: torch.Tensor, **options: Any) -> Any:
        if len(input_ids) > limit:
            raise torch.OutOfMemoryError
        return real(input_ids=input_ids, **options)

    monkeypatch.setattr(tiny.model, "forward", cramped)
    engine = LocalEngine(tiny, batch=8, path=path)
    replies = engine.generate(REQUESTS, open_image)
    assert (engine.batch, engine.halvings) == (2, 2)
    assert replies == wanted
    limit = 0
    with pytest.raises(SenaError, match="does not fit the device"):
        engine.generate(REQUESTS, open_image)
