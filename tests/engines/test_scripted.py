"""Canned replies keep the order and the ids of their requests."""

from __future__ import annotations

import pytest
from PIL import Image

from sena.engines.scripted import ScriptedEngine
from sena.records import Reply, Request


def never(name: str) -> Image.Image:
    raise AssertionError("a scripted engine opens no picture")


def test_replies_come_in_order_and_may_be_cut() -> None:
    engine = ScriptedEngine(lambda asked: Reply("", "cut", finished=False) if asked.id == "b" else asked.prompt.upper())
    replies = engine.generate([Request("a", "one", None), Request("b", "two", "x")], never)
    assert replies == [Reply("a", "ONE"), Reply("b", "cut", finished=False)]
    assert "score" not in engine.offers
    with pytest.raises(NotImplementedError):
        engine.score([], never)
