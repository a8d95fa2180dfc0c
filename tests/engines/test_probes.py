"""Probes tell a model from others, and forgive what rounding may do."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sena.engines import probes
from sena.engines.base import ServerConfig
from sena.engines.local import LocalEngine
from sena.engines.probes import Probe
from sena.engines.server import ServerEngine
from sena.mini import mini_folder
from sena.models.load import load, load_without_weights
from sena.models.vlm import VLM
from tests.engines.faulty import Faulty, answering, faulty

PROMPTS = ("ask a question about this picture .", "describe this picture .", "tell what you see .")


@pytest.fixture(scope="module")
def mini() -> VLM:
    return load(str(mini_folder()), "float32", "cpu")


def test_a_model_knows_itself_here_and_behind_a_server(mini: VLM) -> None:
    made = probes.ask(mini, PROMPTS)
    assert [probe.prompt for probe in made] == list(PROMPTS)
    assert len({probe.text for probe in made}) == 3
    assert all(len(probe.sure) > 10 for probe in made)
    assert probes.fit(made, probes.replies(LocalEngine(mini), made))
    with faulty(Faulty(answer=answering(mini))) as server:
        said = probes.replies(ServerEngine(load_without_weights(mini.name), ServerConfig(url=server.url)), made)
    assert said == [probe.text for probe in made]


def test_a_model_that_learned_a_little_is_another(mini: VLM, tmp_path: Path) -> None:
    """Noise of a twentieth of each weight's own spread."""
    made = probes.ask(mini, PROMPTS)
    other = load(str(mini_folder()), "float32", "cpu")
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in other.model.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.05 * weight.std(correction=0).item())
    assert not probes.fit(made, probes.replies(LocalEngine(other), made))


def test_what_comes_behind_a_near_tie_is_forgiven(tiny: VLM) -> None:
    """Letters are tokens of one byte each here. In float32 logits of at most 10 may move by 1e-4 x 10 = 0.001: the
    third token, 0.0005 before the next, is the first near tie, so "ab" is sure."""
    ids = tiny.tokenizer.encode("abcd", add_special_tokens=False)
    rows = [torch.zeros(len(tiny.tokenizer)) for _ in range(5)]
    for row, token in zip(rows, [*ids, tiny.end_id], strict=True):
        row[token] = 10.0
    clear = probes._probe(tiny, "p", [*ids, tiny.end_id], rows)
    assert clear == Probe("p", "abcd", "abcd", True)
    rows[2][ids[0]] = 10.0 - 0.0005
    tied = probes._probe(tiny, "p", [*ids, tiny.end_id], rows)
    assert tied == Probe("p", "abcd", "ab", False)
    assert [tied.fits(text) for text in ("abcd", "abxyz", "ab", "axcd", "")] == [True, True, True, False, False]
    assert [clear.fits(text) for text in ("abcd", "abcde", "abc")] == [True, False, False]
    rows[2][ids[0]] = 10.0 - 0.002
    assert probes._probe(tiny, "p", [*ids, tiny.end_id], rows).sure == "abcd"
    cut = probes._probe(tiny, "p", ids, rows[:4])
    assert cut == Probe("p", "abcd", "abcd", False)  # the limit ended it, so a longer text may begin like it
    assert replace(cut, ends=True) == clear


def test_the_picture_is_the_same_for_ever() -> None:
    picture = probes.picture()
    assert picture.size == (224, 224)
    assert hashlib.sha256(picture.tobytes()).hexdigest()[:16] == "6acdfa84ac6feebe"
