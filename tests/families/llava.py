"""LLaVA-1.5, which the everyday tests know already: the tests of the new families have to pass on it as well."""

from __future__ import annotations

import transformers as hf

from tests import tiny
from tests.families import parts

SIDE = 84
"""Of a picture: 36 tokens, so that it is heard beside a template of 150 letters."""


def llava() -> parts.Tiny:
    processor = tiny.llava_processor()
    processor.image_processor.size = {"shortest_edge": SIDE}
    processor.image_processor.crop_size = {"height": SIDE, "width": SIDE}
    words = processor.tokenizer
    eye = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = hf.LlavaConfig(
        vision_config=hf.CLIPVisionConfig(**eye, image_size=SIDE, patch_size=tiny.PATCH),
        text_config=hf.LlamaConfig(**parts.text(words)),
        image_token_index=words.convert_tokens_to_ids("<image>"),
    )
    return parts.wake(hf.LlavaForConditionalGeneration(config), processor)
