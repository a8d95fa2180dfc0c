"""What all tiny models have in common: a tokenizer of bytes, sizes, weights that prefer something."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

PAD, END = "<|endoftext|>", "<|im_end|>"


class Tiny(NamedTuple):
    """A model with random weights and the processor that belongs to it."""

    model: Any
    processor: Any


def tokenizer(special: list[str], end: str = END, begin: str | None = None, **named: str) -> PreTrainedTokenizerFast:
    """Every byte a token, and the family's special tokens, letter for letter. `named` ones become attributes, as
    processors look them up (`image_token="<image>"`); with `begin` every text starts with it."""
    words = list(dict.fromkeys([PAD, *special, end, *([begin] if begin else []), *named.values()]))
    vocabulary = {word: number for number, word in enumerate([*words, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    core.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in words])
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    core.decoder = decoders.ByteLevel()
    if begin:
        core.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A", special_tokens=[(begin, vocabulary[begin])]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token=begin, eos_token=end, pad_token=PAD, extra_special_tokens=named
    )


def text(words: PreTrainedTokenizerFast) -> dict[str, Any]:
    """Settings of a language model for `words`: two layers with grouped heads, as most have today."""
    return {
        "vocab_size": len(words),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
    }


def wake(model: Any, processor: Any, seed: int = 0) -> Tiny:
    """Weights large enough to prefer one token over another, and the end token where generation looks for it."""
    torch.manual_seed(seed)
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.2)
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    return Tiny(model.eval(), processor)
