"""Shared prefixes against the plain path: the same answers, each picture read once, windows that stand alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from PIL import Image
from transformers import MistralConfig

import sena
from sena.engines import decode, memory, plain, prefix, rows, trust
from sena.engines.local import LocalEngine
from sena.engines.looks import Looks
from sena.engines.plain import answer
from sena.mini.bench import MiniBench
from sena.models import encode
from sena.models.load import load
from sena.models.vlm import VLM
from sena.records import Corruption, Reply, Request

NOISE = Corruption("diffusion", 500, seed=3)
NEAR = 1e-3


def open_image(name: str) -> Image.Image:
    return Image.new("RGB", (40, 30), (len(name) * 37 % 256, ord(name[-1]), 90))


def ask(number: int, image: str | None = "red", **changes: Any) -> Request:
    base = Request(f"r{number}", "So? " * (1 + number % 4), image, max_new_tokens=5)
    return dataclasses.replace(base, **changes)


def waves(names: Sequence[str]) -> list[list[Request]]:
    """Three waves as of a window: two that look at the clean pictures, one that looks at the spoiled ones."""
    clean = [ask(n, name, max_new_tokens=4 + n % 2) for n, name in enumerate(names)]
    later = [ask(n + 50, name) for n, name in enumerate(names) if n % 3]
    spoiled = [ask(n + 90, name, corruption=NOISE) for n, name in enumerate(names)]
    return [clean, later, spoiled, spoiled[::-1]]


NAMES = ["red", "green", "blueish", "b", "teal"]


def test_the_miniature_answers_as_one_at_a_time() -> None:
    """102 pictures, an answer to a question or the start of a description each, every fifth on a spoiled picture."""
    vlm = load(str(Path(sena.__file__).parent / "mini" / "base"), dtype="float32", device="cpu")
    bench = MiniBench()
    asked = []
    for number, item in enumerate(bench.items("tuning", 102)):
        request = bench.ask(item)[number % 2]
        spoiled = NOISE if number % 5 == 4 else None
        asked.append(dataclasses.replace(request, corruption=spoiled, max_new_tokens=min(request.max_new_tokens, 20)))
    engine = LocalEngine(vlm)
    replies = engine.generate(asked, bench.open_image)
    assert (engine.path, engine.why) == ("shared", "")
    ties = 0
    for request, reply in zip(asked, replies, strict=True):
        pixels = Looks().at(vlm, request, bench.open_image)
        trace: list[torch.Tensor] = []
        prompt = encode.prompt_ids(vlm, request.prompt, pixels)
        with torch.inference_mode():
            (made,) = answer(vlm, [request], [prompt], [pixels], trace)
        ties += not _same_up_to_a_near_tie(list(reply.tokens), [index for index in made if index != vlm.end_id], trace)
    assert ties < 0.01 * len(asked)


def _same_up_to_a_near_tie(got: list[int], wanted: list[int], trace: list[torch.Tensor]) -> bool:
    """Fails where two texts part without a near tie; False where they part at one."""
    if got == wanted:
        return True
    step = next((n for n, (a, b) in enumerate(zip(got, wanted, strict=False)) if a != b), min(len(got), len(wanted)))
    best = trace[step][0].topk(2).values
    assert best[0] - best[1] < NEAR
    return False


def test_samples_are_those_of_the_plain_path(tiny: VLM) -> None:
    asked = [ask(n, NAMES[n % 3], temperature=0.8 * (n % 3), seed=n, max_new_tokens=9) for n in range(9)]
    shared = LocalEngine(tiny, path="shared").generate(asked, open_image)
    assert shared == LocalEngine(tiny, path="plain").generate(asked, open_image)
    assert len({reply.tokens for reply in shared}) > 6


@pytest.mark.parametrize("leave", [0.0, 0.75, 1.0])
def test_rows_leave_when_they_are_done(tiny: VLM, monkeypatch: pytest.MonkeyPatch, leave: float) -> None:
    """Stop at whatever the model says third, so that rows end at different steps; limits differ inside of a batch."""
    monkeypatch.setattr(decode, "LEAVE", leave)
    asked = [ask(n, NAMES[n % 5], max_new_tokens=3 + n % 6, temperature=n % 2, seed=n) for n in range(10)]
    alone = [LocalEngine(tiny, path="plain").generate([each], open_image)[0] for each in asked]
    looks = Looks()
    branches = [prefix.cut(tiny, each, cast(encode.Pixels, looks.at(tiny, each, open_image))) for each in asked]
    with torch.inference_mode():
        made = decode.decode(tiny, branches, prefix.Prefixes().get(tiny, branches, 1 << 30))
    assert [tuple(index for index in row if index != tiny.end_id) for row in made] == [each.tokens for each in alone]
    assert len({len(row) for row in made}) > 3


def test_prefixes_of_different_lengths_go_together(tiny: VLM) -> None:
    longer = tiny.with_template(
        dataclasses.replace(tiny.template, before_image=f"Look here. {tiny.template.before_image}")
    )
    pairs = [(vlm, ask(n, NAMES[n])) for n, vlm in enumerate([tiny, longer, tiny, longer])]
    looks = Looks()
    branches = [prefix.cut(vlm, each, cast(encode.Pixels, looks.at(vlm, each, open_image))) for vlm, each in pairs]
    assert len({branch.shared for branch in branches}) == 2
    with torch.inference_mode():
        made = decode.decode(tiny, branches, prefix.Prefixes().get(tiny, branches, 1 << 30))
    for (vlm, each), row in zip(pairs, made, strict=True):
        (reply,) = LocalEngine(vlm, path="plain").generate([each], open_image)
        assert tuple(index for index in row if index != tiny.end_id) == reply.tokens


def test_a_window_reads_and_opens_each_picture_once(tiny: VLM) -> None:
    opened: list[str] = []

    def watched(name: str) -> Image.Image:
        opened.append(name)
        return open_image(name)

    engine = LocalEngine(tiny, path="shared")
    with engine.window():
        for wave in waves(NAMES):
            engine.generate(wave, watched)
        assert engine.prefixes.read == 2 * len(NAMES)
        assert sorted(opened) == sorted(NAMES)
    assert engine.prefixes.bytes == 0
    engine.generate([ask(0)], watched)
    engine.generate([ask(0)], lambda name: open_image(f"{name}!"))
    assert engine.prefixes.read == 2 * len(NAMES) + 2  # outside of a window an id may mean another picture


@pytest.fixture
def logits(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """All logits that are computed, to the byte: equal texts could hide that a window hangs on another one."""
    seen: list[bytes] = []
    real = rows.Rows._forward

    def watched(self: Any, ids: torch.Tensor, keep: int) -> torch.Tensor:
        out = real(self, ids, keep)
        seen.append(out.numpy().tobytes())
        return out

    monkeypatch.setattr(rows.Rows, "_forward", watched)
    return seen


@pytest.mark.parametrize("cache_gb", [0.0, 2e-4])
def test_a_window_does_not_depend_on_those_before(tiny: VLM, logits: list[bytes], cache_gb: float) -> None:
    def run(engine: LocalEngine, names: Sequence[str]) -> tuple[list[list[Reply]], list[bytes], int]:
        logits.clear()
        before = engine.prefixes.read
        with engine.window():
            replies = [engine.generate(wave, open_image) for wave in waves(names)]
        return replies, list(logits), engine.prefixes.read - before

    alone = run(LocalEngine(tiny, batch=4, path="shared", cache_gb=cache_gb), NAMES)
    engine = LocalEngine(tiny, batch=4, cache_gb=cache_gb)
    engine.generate([ask(1, "other")], open_image)
    run(engine, ["other", *NAMES[2:], "more"])
    assert run(engine, NAMES) == alone
    assert run(engine, NAMES) == alone


def test_memory_stays_within_its_budget(tiny: VLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """2 layers of keys and values of width 32 in float32: 512 bytes a token. The budget holds about two prefixes."""
    assert memory.bytes_per_token(tiny) == 512
    pixels = Looks().at(tiny, ask(0), open_image)
    shared = prefix.cut(tiny, ask(0), cast(encode.Pixels, pixels)).shared
    kept = int(2.5 * shared * 512)
    most, taken = [], []
    real_get, real_room = prefix.Prefixes.get, rows.room

    def get(self: prefix.Prefixes, *args: Any) -> Any:
        found = real_get(self, *args)
        most.append(self.bytes)
        return found

    def room(prefixes: Any, lengths: Any, extra: int) -> Any:
        taken.append(len(prefixes) * (max(lengths) + extra) * 512)
        return real_room(prefixes, lengths, extra)

    monkeypatch.setattr(prefix.Prefixes, "get", get)
    monkeypatch.setattr(rows, "room", room)
    engine = LocalEngine(tiny, path="shared", cache_gb=2 * kept / 1e9)
    wanted = LocalEngine(tiny, path="plain")
    with engine.window():
        for wave in waves(NAMES):
            assert engine.generate(wave, open_image) == wanted.generate(wave, open_image)
    assert max(most) <= kept
    assert max(taken) <= kept
    assert engine.prefixes.read > 2 * len(NAMES)  # what did not fit was read again


def test_the_default_budget_follows_from_the_machine(tiny: VLM) -> None:
    first, second = memory.budget(tiny, 0), memory.budget(tiny, 0)
    assert first == second
    assert first.kept == first.working > 0
    assert memory.budget(tiny, 3) == memory.Budget(1_500_000_000, 1_500_000_000)


def test_without_a_picture_the_plain_path_answers(tiny: VLM) -> None:
    asked = [ask(0, None), ask(1), ask(2, None, max_new_tokens=3), ask(3, "b")]
    engine = LocalEngine(tiny)
    assert engine.generate(asked, open_image) == LocalEngine(tiny, path="plain").generate(asked, open_image)
    assert engine.prefixes.read == 2


def test_a_model_that_gets_it_wrong_takes_the_plain_path(tiny: VLM, monkeypatch: pytest.MonkeyPatch) -> None:
    real = rows.room

    def forgetful(prefixes: Any, lengths: Any, extra: int) -> Any:
        """As a family would act whose forward pass does not look at what was read before."""
        cache = real(prefixes, lengths, extra)
        for layer in cache.layers:
            cast(torch.Tensor, layer.values).zero_()
        return cache

    monkeypatch.setattr(rows, "room", forgetful)
    engine = LocalEngine(tiny)
    asked = [ask(n, NAMES[n % 5]) for n in range(7)]
    assert engine.generate(asked, open_image) == LocalEngine(tiny, path="plain").generate(asked, open_image)
    assert engine.path == "plain"
    assert "moves its logits" in engine.why


def test_a_model_that_refuses_takes_the_plain_path(tiny: VLM, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise TypeError("no cache here")

    monkeypatch.setattr(trust, "read", refuse)
    engine = LocalEngine(tiny)
    engine.generate([ask(0)], open_image)
    assert (engine.path, engine.why) == ("plain", "its forward pass does not take a shared prefix (TypeError)")


def test_settings_that_change_the_choice_keep_the_plain_path(tiny: VLM) -> None:
    tiny.model.generation_config.repetition_penalty = 1.3
    engine = LocalEngine(tiny)
    engine.generate([ask(0)], open_image)
    assert (engine.path, engine.why) == ("plain", "its generation settings change the choice (repetition_penalty)")


def test_layers_that_forget_keep_the_plain_path() -> None:
    model = SimpleNamespace(config=MistralConfig(sliding_window=8, num_hidden_layers=2))
    assert trust._settings(cast(VLM, SimpleNamespace(model=model))) == "not all of its layers keep every key and value"


def test_padding_stands_in_front() -> None:
    ids, mask = plain.pad_left([[5], [6, 7, 8]], 0)
    assert ids.tolist() == [[0, 0, 5], [6, 7, 8]]
    assert mask.tolist() == [[0, 0, 1], [1, 1, 1]]
