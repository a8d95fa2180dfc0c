"""Adapters on quantised weights: the same start as the reference, weights that stay, a sum with the whole weights."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from sena.align import selftest, trainer
from sena.models import adapters
from sena.models.load import load
from sena.models.quantize import Quantize, is_quantized
from tests.align.world import open_image, preferences, settings, some_pairs


@pytest.mark.parametrize(("kind", "rounding"), [("4bit", 1e-5), ("8bit", 1e-3)])
def test_adapters_learn_beside_quantised_weights(
    wide_folder: Path, tmp_path: Path, kind: Quantize, rounding: float
) -> None:
    """8 bits round what goes into a layer as well, so that a batch of other rows moves them a little."""
    vlm = load(str(wide_folder), "float32", "cpu", kind)
    before = {
        name: weight.clone() for name, weight in vlm.model.state_dict().items() if isinstance(weight, torch.Tensor)
    }
    chosen = settings(lora=True, epochs=2)
    forward = selftest.choose_forward(vlm, chosen.train, some_pairs(), open_image)
    policy, summary = trainer.train(vlm, preferences(vlm, tmp_path / "r"), chosen, 0, tmp_path / "c", forward=forward)
    assert summary.first_dpo == pytest.approx(math.log(2), abs=rounding)
    assert is_quantized(policy.model)
    after = {name.replace(".base_layer", ""): each for name, each in policy.model.state_dict().items()}
    assert before
    assert all(torch.equal(weight, after[f"base_model.model.{name}"]) for name, weight in before.items())
    assert summary.adapter is not None
    assert all(each.abs().max() > 0 for name, each in summary.adapter.weights.items() if "lora_B" in name)


def test_the_whole_weights_take_the_adapter_in(wide_folder: Path, tmp_path: Path) -> None:
    """W + alpha / r B A on the weights as they were before quantising, not on what 4 bits made of them."""
    vlm = load(str(wide_folder), "float32", "cpu", "4bit")
    _, summary = trainer.train(vlm, preferences(vlm, tmp_path / "r"), settings(lora=True), 0, tmp_path / "c")
    assert summary.adapter is not None
    adapters.save(summary.adapter, tmp_path, str(wide_folder))
    whole, merged = load(str(wide_folder), "float32", "cpu").model, load(str(tmp_path), "float32", "cpu").model
    for name in ("model.language_model.layers.0.self_attn.q_proj", "model.language_model.layers.1.mlp.down_proj"):
        first, second = (
            summary.adapter.weights[f"base_model.model.{name}.lora_{part}.weight"].double() for part in "AB"
        )
        wanted = whole.get_submodule(name).weight.double() + 2 * second @ first
        assert float((merged.get_submodule(name).weight.double() - wanted).abs().max()) < 1e-6
