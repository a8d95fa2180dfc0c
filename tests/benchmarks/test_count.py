"""Counted by hand, and by torch while the model runs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import count
import generate
import small_llava
import train
from count import Amount, Load
from passes import Trees, noise, prepare_policy
from sena.align import modes, work
from sena.align.work import Work
from sena.engines import prefix
from sena.engines.decode import decode
from sena.models import encode
from sena.models.vlm import VLM
from sena.records import Request
from tests.benchmarks.conftest import tiny_config


@pytest.fixture
def vlm(model_folder: Path) -> VLM:
    return generate.open_model(model_folder, "cpu")


def by_torch(action: Any) -> int:
    """Torch's own count; its formulas know attention by the products that the plain kernel does."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        action()
    return counter.get_total_flops()


def test_language() -> None:
    """A layer has 2 x 16 x 16 weights for queries and output, 2 x 16 x 8 for keys and values, 3 x 16 x 32 for the rest:
    2,304. Three tokens through two layers take 2 x 2 x 2,304 each, and see 1 + 2 + 3 tokens at 4 x 16 a layer; the head
    takes 2 x 16 x 32,000 for the one place it scores: 3 x 9,216 + 6 x 128 + 1,024,000.
    """
    found = count.forward(tiny_config(), Load(0, work.of_rows([3]), 1))
    assert found.operations == 27_648 + 768 + 1_024_000
    learned = count.training(tiny_config(), Load(0, work.of_rows([3]), 1))
    assert learned.operations == 3 * found.operations


def test_tower_and_projector() -> None:
    """4 patches of 588 numbers to 16: 2 x 4 x 588 x 16 = 75,264. 5 places through two layers of 4 x 16 x 16 + 2 x 16 x
    24 = 1,792 weights: 2 x 5 x 2 x 1,792 = 35,840; attention: 4 x 25 x 16 x 2 = 3,200. The projector has two layers of
    16 x 16: 2 x 4 x 256 = 2,048 each, and in training one product more for the first, two for the second.
    """
    load = Load(1, Work(0, 0), 0)
    assert count.forward(tiny_config(), load).operations == 75_264 + 35_840 + 3_200 + 2 * 2_048
    assert count.training(tiny_config(), load).operations == 75_264 + 35_840 + 3_200 + 5 * 2_048


def test_numbers_moved() -> None:
    """[2, 3] times [3, 5]: 60 operations; 6 and 15 numbers are read, 10 written. Twice that."""
    assert count.Product(2, 3, 5, times=2).amount() == Amount(120, 62)


def test_a_step_of_decoding_moves_the_weights_and_what_it_sees() -> None:
    """Two rows behind 10 and 12 tokens. Each layer reads its 2,304 weights; what goes into and comes out of its seven
    products; keys and values of 22 + 2 tokens, 8 channels each; queries and results of 2 tokens, 16 channels each.
    """
    step = count.decode_step([10, 12])
    assert step == Load(0, Work(2, 24), 2, 22)
    inside = 2 * ((16 + 16) + 2 * (16 + 8) + (16 + 16) + 2 * (16 + 32) + (32 + 16))
    attention = 2 * 8 * 24 + 2 * 16 * 2
    head = 2 * 16 + 16 * 32_000 + 2 * 32_000
    assert count.forward(tiny_config(), step).numbers == 2 * (2_304 + inside + attention) + head


def test_training_against_torch(vlm: VLM) -> None:
    """Forward and backward of real trees. Torch counts what is done: padding, and a dense mask over all of a tree."""
    trees = Trees.plant(prepare_policy(vlm), train.make_pairs([1, 2, 2]), 4096)
    asked = trees.load()
    found = by_torch(lambda: trees.learn(vlm))
    width = -(-max(places_of(trees)) // 8) * 8
    done = asked._replace(work=Work(3 * width, 3 * width * width))
    assert len(trees.batches) == 1
    assert found == count.training(vlm.model.config, done).operations
    assert asked.work.tokens == sum(places_of(trees))


def places_of(trees: Trees) -> list[int]:
    """Tokens of each image's tree: a prefix, both turns, and both answers of each pair without their end."""
    images: dict[str, set[tuple[int, ...]]] = {}
    for each in trees.encoded:
        for answer in (each.chosen, each.rejected):
            row = (*each.prompt, *answer[:-1])
            images.setdefault(each.pair.image_id, set()).update(row[:end] for end in range(1, len(row) + 1))
    return [len(beginnings) for beginnings in images.values()]


def test_generation_against_torch(vlm: VLM) -> None:
    """A picture is read (torch counts all of the attention's square), then three steps behind it for two rows."""
    pixels = encode.process(vlm, noise("a"))
    rows = [prefix.cut(vlm, Request(name, "the bird is red", "a"), pixels) for name in "ab"]
    shared, behind = rows[0].shared, rows[0].shared + len(rows[0].text)
    config = vlm.model.config
    with torch.inference_mode():
        read = by_torch(lambda: prefix.read(vlm, rows[:1]))
        kept = prefix.read(vlm, rows[:1]) * 2
        four, one = (by_torch(partial(decode, vlm, limited(rows, tokens), kept)) for tokens in (4, 1))
    assert read == count.forward(config, Load(1, Work(shared, shared**2), 1)).operations
    asked = count.total(count.forward(config, count.decode_step([behind + step] * 2)) for step in range(3))
    assert four - one == asked.operations


def limited(rows: list[prefix.Branch], tokens: int) -> list[prefix.Branch]:
    return [replace(row, request=replace(row.request, max_new_tokens=tokens)) for row in rows]


def test_the_same_as_the_trainers_count(vlm: VLM) -> None:
    """`align/work.py` reads a model's modules, `count.py` its configuration."""
    done = Work(100, 2_000)
    costs = work.costs(modes.prepare_full(vlm).model)
    assert count.training(vlm.model.config, Load(0, done, 0)).operations == costs.of(done)


def test_weights(vlm: VLM) -> None:
    """All matrices of the model, but the places of the tower's patches."""
    policy = modes.prepare_full(vlm)
    named = {name: each for name, each in policy.model.named_parameters() if each.ndim > 1}
    sizes = {name: each.numel() for name, each in named.items() if "position" not in name}
    assert count.weights(vlm.model.config) == sum(sizes.values())
    assert count.learned(vlm.model.config) == sum(sizes[name] for name in sizes if named[name].requires_grad)


def test_the_7bs_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LLaVA-1.5-7B has 7.06 G weights, 0.3 G of them in the tower. What saves its shape is tried on a tiny one."""
    assert count.weights(small_llava.seven_b()) == pytest.approx(7.06e9, rel=1e-3)
    assert count.learned(small_llava.seven_b()) == pytest.approx(6.76e9, rel=1e-3)
    monkeypatch.setattr(small_llava, "seven_b", tiny_config)
    vlm = generate.open_model(small_llava.save_7b(tmp_path, ["bird"]), "cpu", "bfloat16")
    assert vlm.dtype == torch.bfloat16
    assert torch.get_default_dtype() == torch.float32
