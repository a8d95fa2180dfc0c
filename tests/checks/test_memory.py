"""The memory sum against real models: counts to the last parameter, activations against what autograd saves."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from sena.align import modes
from sena.align.config import AlignSettings, LoraConfig, TrainConfig
from sena.align.plain import encode_pairs, log_probabilities
from sena.checks import memory as sums
from sena.checks.memory import Parts, memory
from sena.errors import ModelError
from sena.models.load import load
from sena.records import Pair

FULL = AlignSettings()
LORA = AlignSettings(train=TrainConfig(method="lora"), lora=LoraConfig(r=4))

LLAVA_7B = {
    "architectures": ["LlavaForConditionalGeneration"],
    "model_type": "llava",
    "image_token_index": 32000,
    "projector_hidden_act": "gelu",
    "vision_feature_layer": -2,
    "vision_feature_select_strategy": "default",
    "tie_word_embeddings": False,
    "text_config": {
        "model_type": "llama",
        "vocab_size": 32064,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
    },
    "vision_config": {
        "model_type": "clip_vision_model",
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": 336,
        "patch_size": 14,
        "projection_dim": 768,
        "vocab_size": 32000,
    },
}


@pytest.fixture(scope="module")
def llava_7b(tmp_path_factory: pytest.TempPathFactory) -> str:
    """LLaVA-1.5-7B's shape, written out: a folder with nothing but config.json."""
    folder = tmp_path_factory.mktemp("llava-7b")
    (folder / "config.json").write_text(json.dumps(LLAVA_7B))
    return str(folder)


def test_llava_7b(llava_7b: str) -> None:
    """By hand. Language: embeddings and head 2 x 32064 x 4096 = 262,668,288; each of 32 layers 4 x 4096^2 +
    3 x 4096 x 11008 + 2 x 4096 = 202,383,360; last norm 4096: 6,738,939,904 in all. Projector: 1024 x 4096 + 4096 +
    4096^2 + 4096 = 20,979,712. Vision: patches 3 x 14^2 x 1024 = 602,112; class 1024; places 577 x 1024 = 590,848;
    each of 24 layers 4 x (1024^2 + 1024) + 2 x 1024 x 4096 + 4096 + 1024 + 4 x 1024 = 12,596,224; norms before and
    after 4 x 1024: 303,507,456. The sum is 7,063,427,072.
    Full tuning in bfloat16: 2 bytes a weight, and for the 6,759,919,616 that learn 4 + 2 + 8 bytes.
    """
    found = memory(llava_7b, FULL, dtype="bfloat16", device="cpu")
    assert found.parts == Parts(vision=303_507_456, projector=20_979_712, language=6_738_939_904)
    assert found.parts.total == 7_063_427_072
    assert found.learning == 6_759_919_616
    assert (found.weights, found.master) == (2 * 7_063_427_072, 4 * 6_759_919_616)
    assert (found.gradients, found.optimizer) == (2 * 6_759_919_616, 8 * 6_759_919_616)
    assert found.total == sum((found.weights, found.master, found.gradients, found.optimizer, found.activations))


def test_llava_7b_fits_80_gb_in_8_bits(llava_7b: str) -> None:
    """No master; a state is a byte and 1/256 of a float32. As plain AdamW it is far beyond the card."""
    eight = AlignSettings(train=TrainConfig(optimizer="adamw_8bit"))
    found, full = (memory(llava_7b, settings, dtype="bfloat16", device="cpu") for settings in (eight, FULL))
    assert found.master == 0
    assert found.optimizer == pytest.approx(2 * 6_759_919_616 * (1 + 4 / 256), abs=2)
    assert found.checkpoint == 2 * 6_759_919_616 + found.optimizer
    assert full.checkpoint == 12 * 6_759_919_616
    assert found.total < 79 * 2**30 < full.total


def test_8_bit_states_are_counted_as_they_are(tmp_path: Path) -> None:
    """But for the last block of each weight: at most a scale too few for each of two states."""
    from sena.align.eight_bit import AdamW8bit
    from tests.tiny import tiny_llava

    folder, settings = str(tiny_llava(tmp_path)), AlignSettings(train=TrainConfig(optimizer="adamw_8bit"))
    weights = modes.learning(modes.prepare_full(load(folder, dtype="bfloat16", device="cpu")))
    found = memory(folder, settings, dtype="bfloat16", device="cpu")
    tensors = AdamW8bit(weights, settings.train, 0).tensors()
    kept = sum(tensor.nbytes for name, tensor in tensors.items() if not name.startswith("table"))
    assert 0 <= kept - found.checkpoint <= 2 * 4 * len(weights)


def test_shards_share_what_learns(llava_7b: str) -> None:
    """6,759,919,616 weights learn, 844,989,952 on each of 8 GPUs. Replicas share nothing."""
    shards, replicas = (
        memory(llava_7b, AlignSettings(train=TrainConfig(processes=8, parallel=kind)), "bfloat16", "cpu")
        for kind in ("fsdp2", "ddp")
    )
    assert (shards.master, shards.gradients, shards.optimizer) == tuple(n * 844_989_952 for n in (4, 2, 8))
    assert shards.weights == replicas.weights
    assert replicas == memory(llava_7b, FULL, "bfloat16", "cpu")


def test_adapters_are_shared_by_none(llava_7b: str) -> None:
    """What shards cut of a model with adapters does not learn, and is there whole while the model loads."""
    shards = LORA.model_copy(update={"train": LORA.train.model_copy(update={"processes": 8, "parallel": "fsdp2"})})
    assert memory(llava_7b, shards, "bfloat16", "cpu") == memory(llava_7b, LORA, "bfloat16", "cpu")


def test_a_frozen_projector_learns_nothing(llava_7b: str) -> None:
    settings = AlignSettings(train=TrainConfig(projector_learning_rate=0))
    assert memory(llava_7b, settings, dtype="bfloat16", device="cpu").learning == 6_738_939_904


def test_llava_7b_lora(llava_7b: str) -> None:
    """Rank 4 on each layer's seven: 4 x (4 x (4096 + 4096) + 3 x (4096 + 11008)) x 32 = 9,994,240 parameters."""
    found = memory(llava_7b, LORA, dtype="bfloat16", device="cpu")
    assert found.learning == 9_994_240
    assert found.weights == 2 * 7_063_427_072 + 4 * 9_994_240
    assert (found.master, found.gradients, found.optimizer) == (0, 4 * 9_994_240, 8 * 9_994_240)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_counts_are_those_of_the_real_model(tmp_path: Path, tied: bool, dtype: str) -> None:
    from tests.tiny import tiny_llava

    folder = str(tiny_llava(tmp_path, tied=tied))
    full, lora = (memory(folder, settings, dtype=dtype, device="cpu") for settings in (FULL, LORA))
    vlm = load(folder, dtype=dtype, device="cpu")
    weights = list(vlm.model.parameters())
    assert full.parts.total == sum(weight.numel() for weight in weights)
    assert full.weights == sum(weight.nbytes for weight in weights)
    assert full.parts.vision == sum(weight.numel() for weight in modes.tower(vlm.model).parameters())
    assert full.learning == sum(weight.numel() for _, weight in modes.learning(modes.prepare_full(vlm)))
    assert full.master == (0 if dtype == "float32" else 4 * full.learning)

    adapted = modes.prepare_lora(vlm, LORA.lora, seed=0)
    learning = [weight for _, weight in modes.learning(adapted)]
    assert lora.learning == sum(weight.numel() for weight in learning)
    assert lora.gradients == sum(weight.nbytes for weight in learning)
    assert lora.weights == sum(weight.nbytes for weight in adapted.model.parameters())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_activations_are_about_what_autograd_saves(
    tiny_folder: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two pairs with prompts of about 64 and answers of 100 tokens (a byte a token) through the tiny LLaVA.

    The logits' gradient comes only with the backward pass, so it is no part of what is saved: it is taken off.
    """
    vlm = modes.prepare_full(load(str(tiny_folder), dtype=dtype, device="cpu"))
    pairs = [Pair(str(n), str(n), "i", "answer", "p" * 48, "c" * 99, "r" * 99) for n in range(2)]
    encoded = encode_pairs(vlm, pairs, lambda _: Image.new("RGB", (28, 28)))
    monkeypatch.setattr(sums, "PROMPT_TOKENS", len(encoded[0].prompt) - sums.image_tokens(vlm.model.config))
    weights = {weight.untyped_storage().data_ptr() for weight in vlm.model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = log_probabilities(vlm, encoded).chosen.sum()
    assert loss.requires_grad
    size = vlm.dtype.itemsize
    answers = len(encoded[0].chosen)
    work = sums.batch(vlm.model.config, TrainConfig(packing="plain", pairs_per_batch=2), answers)
    estimate = sums.activations(vlm.model.config, work, size, is_checkpointed=False)
    estimate -= 4 * answers * vlm.model.config.get_text_config().vocab_size * 4
    assert sum(kept.values()) == pytest.approx(estimate, rel=0.15)


def test_what_goes_through_the_model_together(llava_7b: str) -> None:
    """576 image tokens and 64 of prompt. Rows of 100 more: 4 x 740. A tree of one pair has 640 + 200 = 840 tokens, so
    4 of them fit into 4,096; one that is larger than the budget goes alone.
    """
    config = sums.empty_model(llava_7b).config
    assert sums.batch(config, TrainConfig(packing="plain", pairs_per_batch=2), 100) == (2960, 400)
    assert sums.batch(config, TrainConfig(batch_tokens=4096), 100) == (4096, 800)
    assert sums.batch(config, TrainConfig(batch_tokens=512), 100) == (840, 200)


def test_the_budget_of_trees_counts(llava_7b: str) -> None:
    small, large = (
        memory(llava_7b, AlignSettings(train=TrainConfig(batch_tokens=tokens)), "bfloat16", "cpu", 100)
        for tokens in (2048, 8192)
    )
    assert large.activations > 3 * small.activations


def test_checkpointing_takes_less(llava_7b: str) -> None:
    model = sums.empty_model(llava_7b)
    plain, checkpointed = (
        sums.activations(model.config, sums.Batch(3584, 1024), 2, is_checkpointed=each) for each in (False, True)
    )
    assert checkpointed < plain / 4


@pytest.mark.parametrize(("optimizer", "bytes_each"), [("adamw", 18), ("adamw_8bit", 8)])
def test_automatic_checkpointing(monkeypatch: pytest.MonkeyPatch, optimizer: str, bytes_each: int) -> None:
    """On GPUs of sizes on both sides of the border: 1,000 weights that learn and 100 of 2 bytes that rest."""
    border = (1000 * bytes_each + 200) * 3 // 2
    for size, tight in ((border - 3, True), (border + 3, False)):
        monkeypatch.setattr(
            torch.cuda, "get_device_properties", lambda _, size=size: SimpleNamespace(total_memory=size)
        )
        assert modes.is_tight(1000, 100, torch.device("cuda", 0), optimizer) is tight
    assert not modes.is_tight(1000, 100, torch.device("cpu"), optimizer)


def test_what_is_no_vision_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no model"):
        memory(str(tmp_path), FULL)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(ModelError, match="is a llama model, which reads no pictures"):
        memory(str(tmp_path), FULL)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"could not be loaded: .*not a valid JSON file"):
        memory(str(tmp_path), FULL)
