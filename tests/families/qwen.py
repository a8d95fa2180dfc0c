"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL: flattened patches of any size, positions on three axes (time, height, width)."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

from tests.families import parts

TURNS = (
    "{% for message in messages %}SYSTEM<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}"
    "{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The turns of the checkpoints' own template, for pictures and text."""
SYSTEM = (
    "{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "{% endif %}"
)
"""Qwen2-VL and Qwen2.5-VL put it in front of a talk that has no system turn; Qwen3-VL puts nothing."""
MARKS = ["<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
PATCH = 14
SIZE = {"shortest_edge": 56 * 56, "longest_edge": 84 * 84}
ROPE = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [1, 1, 2]}
EYE = {"depth": 2, "num_heads": 2, "patch_size": PATCH, "in_channels": 3}


def qwen2_vl() -> parts.Tiny:
    words = parts.tokenizer(MARKS)
    config = hf.Qwen2VLConfig(
        vision_config={**EYE, "embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2}, **_common(words, ROPE)
    )
    processor = hf.Qwen2VLProcessor(_images(), words, _videos(), chat_template=TURNS.replace("SYSTEM", SYSTEM))
    return parts.wake(hf.Qwen2VLForConditionalGeneration(config), processor)


def qwen2_5_vl() -> parts.Tiny:
    words = parts.tokenizer(MARKS)
    eye = {**EYE, "hidden_size": 32, "intermediate_size": 48, "out_hidden_size": 32}
    eye |= {"window_size": 2 * 2 * PATCH, "fullatt_block_indexes": [1]}
    config = hf.Qwen2_5_VLConfig(vision_config=eye, **_common(words, ROPE))
    processor = hf.Qwen2_5_VLProcessor(_images(), words, _videos(), chat_template=TURNS.replace("SYSTEM", SYSTEM))
    return parts.wake(hf.Qwen2_5_VLForConditionalGeneration(config), processor)


def qwen3_vl() -> parts.Tiny:
    """What its tower sees after the first layer is added inside the language model too (deepstack)."""
    words = parts.tokenizer(MARKS)
    eye = {**EYE, "hidden_size": 32, "intermediate_size": 48, "out_hidden_size": 32}
    eye |= {"num_position_embeddings": 16, "deepstack_visual_indexes": [0]}
    config = hf.Qwen3VLConfig(vision_config=eye, **_common(words, {**ROPE, "mrope_interleaved": True}, head_dim=8))
    videos = Qwen3VLVideoProcessor(patch_size=PATCH)
    processor = hf.Qwen3VLProcessor(_images(), words, videos, chat_template=TURNS.replace("SYSTEM", ""))
    return parts.wake(hf.Qwen3VLForConditionalGeneration(config), processor)


def _common(words: Any, rope: dict[str, Any], **more: Any) -> dict[str, Any]:
    ids = {
        name: words.convert_tokens_to_ids(token)
        for name, token in (
            ("image_token_id", "<|image_pad|>"),
            ("video_token_id", "<|video_pad|>"),
            ("vision_start_token_id", "<|vision_start|>"),
            ("vision_end_token_id", "<|vision_end|>"),
        )
    }
    return {"text_config": {**parts.text(words), "rope_parameters": rope, **more}, **ids}


def _images() -> Any:
    return Qwen2VLImageProcessor(patch_size=PATCH, size=SIZE)


def _videos() -> Any:
    return Qwen2VLVideoProcessor(patch_size=PATCH, size=SIZE)
