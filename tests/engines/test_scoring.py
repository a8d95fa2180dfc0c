"""Scores behind shared prefixes: those of whole rows, with each picture read once."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from PIL import Image

from sena.engines import local, rows
from sena.engines.local import LocalEngine
from sena.models.vlm import VLM
from sena.records import Corruption, Request, Score

NOISE = Corruption("diffusion", 500, seed=3)
ANSWERS = ("yes", "A red ball on the floor.", "", "two dogs")


def open_image(name: str) -> Image.Image:
    """Pictures of several shapes, so that prefixes of one family differ in length."""
    side = 56 + 28 * (len(name) % 3)
    return Image.new("RGB", (side, 56), (len(name) * 37 % 256, ord(name[-1]), 90))


def asked() -> list[Request]:
    """Four answers to each of two prompts on three looks, and two answers without a picture."""
    looks = [("red", None), ("blue", None), ("red", NOISE)]
    found = [
        Request(f"{image}{corruption is None}{prompt}{number}", prompt, image, corruption=corruption, answer=answer)
        for image, corruption in looks
        for prompt in ("What is this?", "So?")
        for number, answer in enumerate(ANSWERS)
    ]
    return found + [Request(f"blind{answer}", "Hello?", None, answer=answer) for answer in ANSWERS[:2]]


def close(one: list[Score], other: list[Score]) -> None:
    assert [(each.id, each.tokens) for each in one] == [(each.id, each.tokens) for each in other]
    for first, second in zip(one, other, strict=True):
        assert first.total == pytest.approx(second.total, abs=1e-4 * max(1, abs(second.total) / 100))
        assert first.mean == pytest.approx(first.total / first.tokens)


def test_equal_to_whole_rows(tiny: VLM) -> None:
    demand_equal(tiny)


def demand_equal(vlm: VLM) -> None:
    """Also of the other families, which are tested by themselves."""
    engine = LocalEngine(vlm, batch=5)
    found = engine.score(asked(), open_image)
    assert (engine.path, engine.prefixes.read) == ("shared", 3)
    close(found, LocalEngine(vlm, batch=5, path="plain").score(asked(), open_image))
    assert [each.id for each in found] == [each.id for each in asked()]


def test_a_window_reads_for_both_answers_and_scores(tiny: VLM) -> None:
    engine = LocalEngine(tiny)
    requests = [each for each in asked() if each.image]
    with engine.window():
        engine.generate([dataclasses.replace(each, answer=None, max_new_tokens=3) for each in requests], open_image)
        engine.score(requests, open_image)
        assert engine.prefixes.read == 3
    assert engine.prefixes.bytes == 0


def test_one_answer_alone_scores_as_among_others(tiny: VLM) -> None:
    """Gaps in front of shorter prefixes and texts change nothing."""
    together = LocalEngine(tiny).score(asked(), open_image)
    close([LocalEngine(tiny).score([each], open_image)[0] for each in asked()], together)


def test_beyond_the_memory_batches_shrink(tiny: VLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where eight rows do not fit and four do; the scores stay, and are those that were asked for."""
    wanted, real = LocalEngine(tiny).score(asked(), open_image), rows.Rows.read

    def tight(self: rows.Rows, keep: torch.Tensor) -> torch.Tensor:
        if len(keep) > 4:
            raise torch.OutOfMemoryError("no room")
        return real(self, keep)

    monkeypatch.setattr(rows.Rows, "read", tight)
    engine = LocalEngine(tiny, batch=8)
    close(engine.score(asked(), open_image), wanted)
    assert (engine.batch, engine.halvings) == (4, 1)


def test_a_model_that_may_not_share_scores_whole_rows(tiny: VLM, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.model.generation_config.repetition_penalty = 1.2
    monkeypatch.setattr(local, "score", None)  # nobody may call it
    engine = LocalEngine(tiny)
    assert len(engine.score(asked(), open_image)) == len(asked())
    assert engine.path == "plain"
    assert "repetition_penalty" in engine.why
