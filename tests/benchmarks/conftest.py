"""The benchmarks are scripts beside the package, so their folder is put on the path; and a very tiny LLaVA for them."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig

import generate
import small_llava


def tiny_config() -> LlavaConfig:
    """4 image tokens; two heads of 8 channels that share one head of keys; two layers in each half."""
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14
    )
    text = LlamaConfig(
        vocab_size=small_llava.VOCABULARY,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    return LlavaConfig(vision_config=vision, text_config=text, image_token_index=3)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Saved with a tokenizer that has a token for each word, so that lengths are those of the benchmarks."""
    place = tmp_path_factory.mktemp("benchmarks")
    return generate.make_model(place, generate.prepare(place, 0)[1], partial(small_llava.save, config=tiny_config()))
