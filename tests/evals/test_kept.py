"""Answers on disk: killed and resumed gives the same bytes, and nothing is asked twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sena.engines.base import OpenImage
from sena.engines.scripted import ScriptedEngine
from sena.evals import kept, pope
from sena.evals.base import CHUNK
from sena.evals.suite import Suite
from sena.records import Reply, Request
from tests.evals import make

PICTURES = 2 * CHUNK + 5


@dataclass
class Counting:
    """A scripted engine that counts its requests and is killed after some of them."""

    killed_after: int = 10**9
    asked: list[str] = field(default_factory=list)
    offers: frozenset = frozenset({"generate"})

    def generate(self, requests: list[Request], open_image: OpenImage) -> list[Reply]:
        self.asked += [request.id for request in requests]
        if len(self.asked) > self.killed_after:
            raise KeyboardInterrupt
        return ScriptedEngine(lambda request: f"Yes {request.id}").generate(requests, open_image)

    def score(self, requests: list[Request], open_image: OpenImage) -> list:
        raise NotImplementedError


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    rows = [{"question_id": n, "image": f"{n}.jpg", "text": "?", "label": "yes"} for n in range(PICTURES)]
    for split in pope.SPLITS:
        make.write_lines(tmp_path / "pope" / f"coco_pope_{split}.json", rows)
    for n in range(PICTURES):
        make.picture(tmp_path / f"coco/val2014/{n}.jpg")
    return pope.load(tmp_path)


def test_killed_and_resumed_is_as_undisturbed(suite: Suite, tmp_path: Path) -> None:
    """Killed in the second chunk, half a line of which is left on the disk too."""
    items, whole, stopped = suite.items(), tmp_path / "whole.jsonl", tmp_path / "stopped.jsonl"
    records = kept.answered(suite, Counting, items, whole)
    with pytest.raises(KeyboardInterrupt):
        kept.answered(suite, lambda: Counting(3 * CHUNK), items, stopped)
    assert not stopped.exists()
    part = stopped.with_suffix(".part")
    assert len(kept.read_rows(part)) == CHUNK
    part.write_text(part.read_text() + part.read_text()[:100])
    later = Counting()
    assert kept.answered(suite, lambda: later, items, stopped) == records
    assert len(later.asked) == 3 * (PICTURES - CHUNK)
    assert stopped.read_bytes() == whole.read_bytes()
    assert not part.exists()


def test_what_is_whole_needs_no_engine(suite: Suite, tmp_path: Path) -> None:
    def none() -> Counting:
        raise AssertionError("nothing is left to ask")

    path = tmp_path / "whole.jsonl"
    records = kept.answered(suite, Counting, suite.items(), path)
    assert kept.answered(suite, none, suite.items(), path) == records
