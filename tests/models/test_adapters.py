"""Adapters in PEFT's layout: written, read by PEFT itself, merged on loading, and what is said of broken ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import peft
import pytest
import torch
from transformers import AutoModelForImageTextToText

from sena.align import modes
from sena.align.config import LoraConfig
from sena.errors import ModelError
from sena.models import adapters
from sena.models.load import load, load_config, load_without_weights
from sena.models.vlm import VLM

IDS = torch.tensor([[1, 50, 60, 70, 80, 90, 100]])


def learned(vlm: VLM, seed: int = 0) -> adapters.Adapter:
    """An adapter that does something: its second matrices begin at zero and are drawn here."""
    model = modes.prepare_lora(vlm, LoraConfig(r=2, alpha=6), seed).model
    torch.manual_seed(seed)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    return adapters.take(model)


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    place = tmp_path / "adapter"
    place.mkdir()
    adapters.save(learned(load(str(tiny_folder), "float32", "cpu")), place, str(tiny_folder))
    return place


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


def rename_base(folder: Path, base: str) -> None:
    settings = json.loads((folder / adapters.SETTINGS).read_text())
    (folder / adapters.SETTINGS).write_text(json.dumps({**settings, "base_model_name_or_path": base}))


def test_peft_reads_what_is_written_and_loading_merges_it(folder: Path, tiny: VLM) -> None:
    base = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
    model = AutoModelForImageTextToText.from_pretrained(base, dtype="float32")
    theirs = logits(peft.PeftModel.from_pretrained(model, str(folder)).eval())
    ours = load(str(folder), "float32", "cpu")
    assert float((logits(ours.model) - theirs).norm() / theirs.norm()) < 1e-5
    assert float((logits(tiny.model) - theirs).norm() / theirs.norm()) > 0.01
    assert not any("lora" in name for name in ours.model.state_dict())
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", adapters.SETTINGS, adapters.WEIGHTS][1:]


def test_each_weight_moves_by_the_product_of_its_adapter(folder: Path, tiny: VLM) -> None:
    """W + alpha / r B A, in float64."""
    merged = load(str(folder), "float32", "cpu").model
    moved = peft.utils.load_peft_weights(str(folder), device="cpu")
    name = "model.language_model.layers.1.mlp.up_proj"
    first, second = (moved[f"base_model.model.{name}.lora_{part}.weight"].double() for part in "AB")
    wanted = tiny.model.get_submodule(name).weight.detach().double() + 3 * second @ first
    assert float((merged.get_submodule(name).weight.double() - wanted).abs().max()) < 1e-6


def test_a_base_is_found_from_the_adapters_folder(folder: Path, tiny_folder: Path, tmp_path: Path) -> None:
    """A run folder may move: the bases of its adapters are told as seen from them."""
    shutil.copytree(tiny_folder, tmp_path / "run" / "model")
    shutil.copytree(folder, tmp_path / "run" / "adapter")
    rename_base(tmp_path / "run" / "adapter", "../model")
    (tmp_path / "run").rename(tmp_path / "moved")
    assert adapters.base_of(tmp_path / "moved" / "adapter") == str(tmp_path / "moved" / "model")
    assert load_config(str(tmp_path / "moved" / "adapter")).model_type == "llava"
    assert load_without_weights(str(tmp_path / "moved" / "adapter")).template.name == "vicuna_v1"


def test_an_adapter_upon_an_adapter(folder: Path, tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    upper.mkdir()
    lower = load(str(folder), "float32", "cpu")
    adapters.save(learned(lower, seed=1), upper, "../adapter")
    wanted = adapters.merge(load(str(folder), "float32", "cpu"), upper)
    assert torch.equal(logits(load(str(upper), "float32", "cpu").model), logits(wanted.model))


@pytest.mark.parametrize("base", ["", "/no/such/model", "../gone", "."])
def test_a_base_that_is_gone(folder: Path, base: str) -> None:
    rename_base(folder, base)
    for call in (load, load_config, load_without_weights):
        with pytest.raises(ModelError, match=r"is an adapter whose base is gone \(.*put it back, or write its place"):
            call(str(folder))


def test_a_base_that_is_no_model(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    rename_base(folder, "../empty")
    with pytest.raises(ModelError, match=r"is an adapter whose base cannot be loaded: .*holds no model"):
        load(str(folder))
    rename_base(folder, "nobody/nothing-of-this-name")
    with pytest.raises(ModelError, match="is an adapter whose base cannot be loaded: nobody/nothing"):
        load(str(folder))


def test_other_weights_and_other_shapes_are_refused(folder: Path, tiny_folder: Path) -> None:
    with pytest.raises(ModelError, match=r"added to whole weights: set model.quantize to none"):
        load(str(folder), quantize="4bit")
    settings = json.loads((folder / adapters.SETTINGS).read_text())
    (folder / adapters.SETTINGS).write_text(json.dumps({**settings, "r": 3}))
    with pytest.raises(ModelError, match="does not fit its base"):
        load(str(folder))
    (folder / adapters.WEIGHTS).rename(folder / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"has no adapter_model.safetensors, and sena reads no other weights"):
        load(str(folder))
