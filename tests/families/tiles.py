"""LLaVA-NeXT and LLaVA-OneVision: a small picture and tiles of a large one, a learned mark behind each row."""

from __future__ import annotations

import transformers as hf
from transformers.models.llava_next.image_processing_llava_next import LlavaNextImageProcessor
from transformers.models.llava_onevision.image_processing_llava_onevision import LlavaOnevisionImageProcessor
from transformers.models.llava_onevision.video_processing_llava_onevision import LlavaOnevisionVideoProcessor

from tests.families import parts

MISTRAL = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %} {{ message['content'][0]['text'] }}</s>"
    "{% else %}[INST] {% for part in message['content'] %}{% if part['type'] == 'image' %}<image>\n"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %} [/INST]{% endif %}{% endfor %}"
)
QWEN = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }} {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% endif %}{% endfor %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ '\n' + part['text'] }}{% endif %}{% endfor %}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""As in its checkpoints: before an answer that was given stands a blank, before the one to come none."""
SIDE, PATCH = 28, 7
SEEN = (SIDE // PATCH) ** 2
"""Tokens of a tile."""
SIZE = {"height": SIDE, "width": SIDE}
EYE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}


def llava_next() -> parts.Tiny:
    words = parts.tokenizer(["<image>"], end="</s>", begin="<s>")
    grids = [[SIDE, 2 * SIDE], [2 * SIDE, SIDE], [2 * SIDE, 2 * SIDE], [3 * SIDE, SIDE], [SIDE, 3 * SIDE]]
    config = hf.LlavaNextConfig(
        vision_config=hf.CLIPVisionConfig(**EYE, image_size=SIDE, patch_size=PATCH),
        text_config=hf.MistralConfig(**parts.text(words), sliding_window=None),
        image_token_index=words.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=grids,
    )
    processor = hf.LlavaNextProcessor(
        LlavaNextImageProcessor(size={"shortest_edge": SIDE}, crop_size=SIZE, image_grid_pinpoints=grids),
        words,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=MISTRAL,
    )
    return parts.wake(hf.LlavaNextForConditionalGeneration(config), processor)


def llava_onevision() -> parts.Tiny:
    """What a large picture has beyond so many tiles (4 here, 9 in its checkpoints) is taken from it after the tower."""
    words = parts.tokenizer(["<|im_start|>", "<image>", "<video>"])
    grids = [[rows * SIDE, columns * SIDE] for rows in (1, 2, 3) for columns in (1, 2, 3)]
    most = "anyres_max_4"
    config = hf.LlavaOnevisionConfig(
        vision_config=hf.SiglipVisionConfig(**EYE, image_size=SIDE, patch_size=PATCH, vision_use_head=False),
        text_config=hf.Qwen2Config(**parts.text(words)),
        image_token_index=words.convert_tokens_to_ids("<image>"),
        video_token_index=words.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=grids,
        vision_aspect_ratio=most,
    )
    processor = hf.LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size=SIZE, image_grid_pinpoints=grids),
        words,
        LlavaOnevisionVideoProcessor(size=SIZE),
        num_image_tokens=SEEN,
        vision_feature_select_strategy="full",
        chat_template=QWEN,
        vision_aspect_ratio=most,
    )
    return parts.wake(hf.LlavaOnevisionForConditionalGeneration(config), processor)
