"""InternVL3 in Hugging Face layout: a picture is cut into tiles with a thumbnail behind them, positions are counted."""

from __future__ import annotations

import transformers as hf
from transformers.models.got_ocr2.image_processing_got_ocr2 import GotOcr2ImageProcessor
from transformers.models.internvl.video_processing_internvl import InternVLVideoProcessor

from tests.families import parts

TURNS = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}"
    "{{ message['content'] }}{% else %}{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<IMG_CONTEXT>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SIDE, PATCH = 28, 7
SEEN = (SIDE // PATCH // 2) ** 2
"""Tokens of a tile: half of the patches in each direction."""


def internvl() -> parts.Tiny:
    words = parts.tokenizer(
        ["<|im_start|>"],
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    eye = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = hf.InternVLConfig(
        vision_config={**eye, "image_size": [SIDE, SIDE], "patch_size": [PATCH, PATCH]},
        text_config={"model_type": "qwen2", **parts.text(words)},
        image_token_id=words.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=SEEN,
        tie_word_embeddings=False,
    )
    size = {"height": SIDE, "width": SIDE}
    processor = hf.InternVLProcessor(
        GotOcr2ImageProcessor(size=size, min_patches=1, max_patches=4),
        words,
        InternVLVideoProcessor(size=size),
        image_seq_length=SEEN,
        chat_template=TURNS,
    )
    return parts.wake(hf.InternVLForConditionalGeneration(config), processor)
