"""Which forward a model is given, and what the test at start finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from sena.align import plain, selftest
from sena.align.config import TrainConfig
from sena.align.tree_forward import TreeForward
from sena.models.vlm import VLM
from tests.align.world import open_image, some_pairs

PAIRS = some_pairs(images=3, each=3)


def choose(vlm: VLM, said: list[str], **settings: Any) -> plain.Forward:
    return selftest.choose_forward(vlm, TrainConfig(**settings), PAIRS, open_image, said.append)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_sound_model_gets_trees(tiny: VLM, attention: str) -> None:
    said: list[str] = []
    tiny.model.set_attn_implementation(attention)
    learned = [weight.requires_grad for weight in tiny.model.parameters()]
    assert choose(tiny, said, batch_tokens=100) == TreeForward(100)
    assert said == []
    assert [weight.requires_grad for weight in tiny.model.parameters()] == learned
    assert all(weight.grad is None for weight in tiny.model.parameters())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_low_precisions_pass(tiny_folder: Any, dtype: str) -> None:
    from sena.models.load import load

    assert isinstance(choose(load(str(tiny_folder), dtype, "cpu"), []), TreeForward)


def test_plain_when_asked_for(tiny: VLM) -> None:
    assert choose(tiny, [], packing="plain") is plain.log_probabilities


def test_the_sample_has_most_to_share() -> None:
    """image0 has 1 pair, image1 2, image2 4: three of image2 and one of image1."""
    pairs = [pair for pair in some_pairs(images=3, each=4) if int(pair.id[-1]) < (1, 2, 4)[int(pair.image_id[-1])]]
    assert [pair.id for pair in selftest.sample(pairs)] == ["pair20", "pair21", "pair22", "pair10"]
    assert selftest.sample(pairs[:1]) == pairs[:1]


def causal_only(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **more: Any) -> Any:
    """An attention that takes a mask and does not look at it."""
    return sdpa_attention_forward(module, query, key, value, None, **{**more, "is_causal": True})


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_attention_that_ignores_the_mask_is_found(
    tiny_folder: Any, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    """Every branch sees those before it, without an error: gradients differ by a fifth and more, and it says so."""
    from sena.models.load import load

    vlm, said = load(str(tiny_folder), dtype, "cpu"), list[str]()
    monkeypatch.setitem(AttentionInterface._global_mapping, "sdpa", causal_only)
    assert choose(vlm, said) is plain.log_probabilities
    assert len(said) == 1
    assert "trains on plain rows, since" in said[0]
    assert "of a tree differ by" in said[0]


def test_a_wrong_gradient_is_found(tiny: VLM) -> None:
    """Right log-probabilities with gradients of half of them."""

    def half(vlm: VLM, pairs: Sequence[plain.Encoded]) -> plain.LogProbs:
        found = TreeForward(8192)(vlm, pairs)
        halves = (0.5 * side + 0.5 * side.detach() for side in (found.chosen, found.rejected))
        return plain.LogProbs(*halves, found.chosen_tokens, found.rejected_tokens)

    pairs = plain.encode_pairs(tiny, PAIRS[:4], open_image)
    assert "gradients of a tree differ by 0.5 of their length" in selftest.find_fault(tiny, pairs, half)


@pytest.mark.parametrize("attention", ["flash_attention_2", "flex_attention", "something_else"])
def test_refused_by_name(tiny: VLM, attention: str) -> None:
    tiny.model.config.text_config._attn_implementation_internal = attention
    said: list[str] = []
    assert choose(tiny, said) is plain.log_probabilities
    assert said == [f"  trains on plain rows, since {attention} attention cannot take the mask of a tree"]


def test_windows_and_running_states_are_refused(tiny: VLM) -> None:
    tiny.model.config.text_config.layer_types = ["full_attention", "sliding_attention"]
    assert "layers of sliding_attention" in selftest.refuse(tiny.model)


def test_a_model_that_raises_is_told(tiny: VLM, monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(**inputs: Any) -> Any:
        raise TypeError("got an unexpected keyword argument 'position_ids'\nand more")

    monkeypatch.setattr(tiny.model, "forward", forward)
    said: list[str] = []
    assert choose(tiny, said) is plain.log_probabilities
    assert said[0].endswith("(TypeError: got an unexpected keyword argument 'position_ids')")


def test_out_of_memory_is_no_fault_of_the_family(tiny: VLM, monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(**inputs: Any) -> Any:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(tiny.model, "forward", forward)
    with pytest.raises(torch.OutOfMemoryError):
        choose(tiny, [])
