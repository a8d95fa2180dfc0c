"""Loading, saving, and one sentence for every model that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from sena.errors import ModelError
from sena.models import load as loading
from sena.models.vlm import VLM


def test_saved_model_loads_again_with_equal_weights(tiny: VLM, tmp_path: Path) -> None:
    loading.save(tiny, tmp_path / "model")
    again = loading.load(str(tmp_path / "model"), dtype="float32", device="cpu")
    for (name, old), new in zip(tiny.model.state_dict().items(), again.model.state_dict().values(), strict=True):
        assert torch.equal(old, new), name
    assert again.template == tiny.template
    assert again.end_id == tiny.end_id == 2
    assert not [path for path in (tmp_path / "model").iterdir() if path.suffix in {".bin", ".pt", ".pkl"}]


def test_a_folder_without_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no model .*give a model's folder"):
        loading.load(str(tmp_path))


def test_a_text_only_model_is_told(tmp_path: Path) -> None:
    text = LlamaConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=16)
    LlamaForCausalLM(text).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="is a llama model, which reads no pictures"):
        loading.load(str(tmp_path))


def test_weights_in_another_format_are_refused(tiny_folder: Path, tmp_path: Path) -> None:
    for path in tiny_folder.iterdir():
        if path.suffix != ".safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"not to be read")
    with pytest.raises(ModelError, match="no safetensors weights"):
        loading.load(str(tmp_path))


def test_broken_configuration_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match=str(tmp_path)):
        loading.load(str(tmp_path))


def test_a_model_without_template_is_told(tiny_folder: Path, tmp_path: Path) -> None:
    """A `llava` falls back on the template it was trained with; what stands on the hub lacks the system sentence."""
    for path in tiny_folder.iterdir():
        if path.name != "chat_template.jinja":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    assert loading.load(str(tmp_path)).template.name == "vicuna_v1"
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model_type"] == "llava"


def test_precision_follows_the_device() -> None:
    assert loading.resolve_dtype("auto", torch.device("cpu")) == torch.float32
    assert loading.resolve_dtype("auto", torch.device("cuda")) == torch.bfloat16
    assert loading.resolve_dtype("bfloat16", torch.device("cpu")) == torch.bfloat16
