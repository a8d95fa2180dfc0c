"""LLaVAs of random weights: one of about 60 M with 576 image tokens, as LLaVA-1.5 has them, and the 7B's own shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.tokenization_utils_tokenizers import PreTrainedTokenizerFast
from transformers.utils import logging

VOCABULARY, SIDE, PATCH = 32_000, 336, 14
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}USER: {% else %} ASSISTANT: {% endif %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}"
    "{% endif %}{% endfor %}{% endfor %}{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)


def word_tokenizer(words: list[str]) -> PreTrainedTokenizerFast:
    """One token a word or mark of `words`, the other ids named by number: prompts get lengths as in real use."""
    vocabulary = {"<pad>": 0, "<s>": 1, "</s>": 2, "<image>": 3, "<unk>": 4}
    splitter = pre_tokenizers.Whitespace()
    for word, _ in splitter.pre_tokenize_str(" ".join(words)):
        vocabulary.setdefault(word, len(vocabulary))
    vocabulary.update({f"w{number}": number for number in range(len(vocabulary), VOCABULARY)})
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = splitter
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>"},
    )


def processor(words: list[str], side: int = SIDE, patch: int = PATCH) -> LlavaProcessor:
    images = LlavaImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    return LlavaProcessor(
        image_processor=images,
        tokenizer=word_tokenizer(words),
        patch_size=patch,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )


def small() -> LlavaConfig:
    vision = CLIPVisionConfig(
        hidden_size=256,
        intermediate_size=1024,
        num_hidden_layers=6,
        num_attention_heads=4,
        image_size=SIDE,
        patch_size=PATCH,
    )
    text = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=512,
        intermediate_size=1376,
        num_hidden_layers=8,
        num_attention_heads=8,
        max_position_embeddings=4096,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    return LlavaConfig(vision_config=vision, text_config=text, image_token_index=3)


def seven_b() -> LlavaConfig:
    """LLaVA-1.5-7B's shape, without the 64 rows that the hub's copy adds to the vocabulary."""
    vision = CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        image_size=SIDE,
        patch_size=PATCH,
        projection_dim=768,
    )
    text = LlamaConfig(
        vocab_size=VOCABULARY, max_position_embeddings=4096, bos_token_id=1, eos_token_id=2, pad_token_id=0
    )
    return LlavaConfig(vision_config=vision, text_config=text, image_token_index=3)


def save(folder: Path, words: list[str], config: LlavaConfig | None = None, seed: int = 0) -> Path:
    """Model (the small one, unless `config` says another) and processor in `folder`, in Hugging Face layout."""
    config = config or small()
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(config)
    for name, parameter in model.named_parameters():
        if "language_model" in name and parameter.ndim > 1:  # the library's start hardly prefers one token to another
            torch.nn.init.normal_(parameter, std=0.04)
    return _save(folder, words, model)


def save_7b(folder: Path, words: list[str]) -> Path:
    """The 7B's shape in bfloat16, made on the GPU where there is one: 13 GB."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = LlavaForConditionalGeneration(seven_b())
    torch.set_default_dtype(torch.float32)
    return _save(folder, words, model)


def _save(folder: Path, words: list[str], model: LlavaForConditionalGeneration) -> Path:
    logging.disable_progress_bar()
    model.generation_config.eos_token_id = 2
    model.generation_config.pad_token_id = 0
    model.save_pretrained(folder)
    vision: Any = model.config.vision_config
    processor(words, vision.image_size, vision.patch_size).save_pretrained(folder)
    return folder
