"""Tiny random-weight models with their processors, built in code: the same files a checkpoint on the hub would hold."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.tokenization_utils_tokenizers import PreTrainedTokenizerFast

VICUNA_ON_THE_HUB = (
    "{% for message in messages %}{% if message['role'] == 'user' %}USER: {% else %} ASSISTANT: {% endif %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}"
    "{% endif %}{% endfor %}{% endfor %}{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)
SIDE, PATCH, WIDTH = 28, 14, 32


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Every byte a token, so that any text in any script encodes."""
    vocabulary = {"<pad>": 0, "<s>": 1, "</s>": 2, "<image>": 3}
    for letter in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocabulary[letter] = len(vocabulary)
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>"},
    )


def llava_processor() -> LlavaProcessor:
    size = {"height": SIDE, "width": SIDE}
    images = LlavaImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=size)
    return LlavaProcessor(
        image_processor=images,
        tokenizer=byte_tokenizer(),
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=VICUNA_ON_THE_HUB,
    )


def tiny_llava(folder: Path, seed: int = 0, tied: bool = False, width: int = WIDTH) -> Path:
    """A LLaVA of about 50,000 random weights, saved with its processor in `folder`. `width` is the language model's."""
    processor = llava_processor()
    vision = CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=PATCH,
    )
    text = LlamaConfig(
        vocab_size=len(processor.tokenizer),
        hidden_size=width,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=tied,
    )
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=3, tie_word_embeddings=tied)
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(config)
    for parameter in model.parameters():
        if parameter.ndim > 1:  # the library's start is too small to prefer one token over another
            torch.nn.init.normal_(parameter, std=0.2)
    model.generation_config.eos_token_id = 2
    model.generation_config.pad_token_id = 0
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
