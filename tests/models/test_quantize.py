"""4 and 8 bits: which weights, how far from the whole ones, a forward equal to that of the weights they stand for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit

from sena.errors import ModelError, RecipeError
from sena.models import quantize as quantizing
from sena.models.load import load
from sena.models.quantize import Quantize
from sena.models.vlm import VLM
from sena.recipes.recipe import load_recipe

NF4 = [
    *(-1.0, -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.0911, 0.0),
    *(0.0796, 0.1609, 0.2461, 0.3379, 0.4407, 0.5626, 0.7230, 1.0),
]
"""The levels of Dettmers et al. 2023, appendix E, to four places."""
IDS = torch.tensor([[1, 50, 60, 70, 80, 90, 100]])


@pytest.fixture
def whole(wide_folder: Path) -> VLM:
    return load(str(wide_folder), "float32", "cpu")


def quantized(folder: Path, kind: Quantize) -> VLM:
    return load(str(folder), "float32", "cpu", kind)


def linears(model: torch.nn.Module) -> dict[str, torch.nn.Linear]:
    return {name: each for name, each in model.named_modules() if isinstance(each, torch.nn.Linear)}


@pytest.mark.parametrize("kind", ["4bit", "8bit"])
def test_only_the_language_model_is_quantised(whole: VLM, wide_folder: Path, kind: Quantize) -> None:
    found = quantized(wide_folder, kind)
    small = {name for name, each in linears(found.model).items() if type(each) is not torch.nn.Linear}
    assert small == {name for name in linears(whole.model) if "language_model.layers" in name}
    kept = {name: each for name, each in found.model.named_parameters() if each.is_floating_point()}
    for name, weight in kept.items():
        assert torch.equal(weight, whole.model.get_parameter(name)), name
    assert quantizing.is_quantized(found.model)
    assert not quantizing.is_quantized(whole.model)
    assert found.dtype == torch.float32
    counted = sum(quantizing.count(weight) for weight in found.model.parameters())
    assert counted == sum(weight.numel() for weight in whole.model.parameters())


def test_four_bits_are_the_nearest_of_sixteen_levels(whole: VLM, wide_folder: Path) -> None:
    """Of 64 weights each, each scaled by the largest; that scale is rounded once more, which costs a hundredth."""
    levels = torch.tensor(NF4)
    for name, layer in linears(quantized(wide_folder, "4bit").model).items():
        if type(layer) is torch.nn.Linear:
            continue
        blocks = whole.model.get_submodule(name).weight.detach().reshape(-1, 64)
        largest = blocks.abs().amax(1, keepdim=True)
        nearest = levels[((blocks / largest)[..., None] - levels).abs().argmin(-1)] * largest
        found = dequantize_4bit(layer.weight.data, layer.weight.quant_state).reshape(-1, 64)
        farther = (found - blocks).abs() - (nearest - blocks).abs()  # between two levels either will do
        assert float((farther / largest).max()) < 0.01, name


def test_a_four_bit_model_computes_with_the_weights_it_stands_for(whole: VLM, wide_folder: Path) -> None:
    found = quantized(wide_folder, "4bit")
    with torch.no_grad():
        before = whole.model(input_ids=IDS).logits
        for name, layer in linears(found.model).items():
            if type(layer) is not torch.nn.Linear:
                stands_for = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
                whole.model.get_submodule(name).weight.copy_(stands_for)
        wanted, logits = whole.model(input_ids=IDS).logits, found.model(input_ids=IDS).logits
    assert float((logits - wanted).abs().max()) < 1e-4
    assert float((before - wanted).abs().max()) > 0.01  # the difference that 4 bits make is not rounding
    again = found.model.train()(input_ids=IDS).logits
    assert torch.equal(again, logits)  # training reads the same weights as asking, also after it


def test_an_eight_bit_model_is_near_the_whole_one(whole: VLM, wide_folder: Path) -> None:
    with torch.no_grad():
        wanted = whole.model(input_ids=IDS).logits
        logits = quantized(wide_folder, "8bit").model(input_ids=IDS).logits
    assert 1e-5 < float((logits - wanted).norm() / wanted.norm()) < 0.03


def test_rows_that_a_cpu_would_misread_are_refused(tiny_folder: Path) -> None:
    with pytest.raises(ModelError, match=r"on a CPU needs layers of a multiple of 64 inputs, and .*q_proj has 32"):
        quantized(tiny_folder, "4bit")


def test_without_bitsandbytes_it_is_said(wide_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantizing, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"quantize: 4bit needs bitsandbytes: pip install sena\[gpu\]"):
        quantized(wide_folder, "4bit")


def test_full_training_of_quantised_weights_is_refused_in_the_recipe() -> None:
    with pytest.raises(RecipeError, match=r"model.quantize: 8bit holds weights that cannot learn: set train.method"):
        load_recipe("demo", settings=["model.quantize=8bit"])
    assert load_recipe("demo", settings=["model.quantize=8bit", "train.method=lora"]).model.quantize == "8bit"


def test_a_split_needs_several_devices(wide_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ModelError, match=r"split needs several GPUs, and torch sees 1: set model.device to auto"):
        load(str(wide_folder), device="split")
