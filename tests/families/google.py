"""Gemma 3 and PaliGemma 2: a square of one size; a picture's tokens, or the whole prompt, see each other both ways."""

from __future__ import annotations

import transformers as hf
from transformers.models.gemma3.image_processing_gemma3 import Gemma3ImageProcessor
from transformers.models.siglip.image_processing_siglip import SiglipImageProcessor

from tests.families import parts

TURNS = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>"
    "{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<start_of_image>{% else %}{{ part['text'] | trim }}{% endif %}{% endfor %}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
SIDE, PATCH = 42, 7
SEEN = (SIDE // PATCH) ** 2
"""Patches of a picture."""
SIZE = {"height": SIDE, "width": SIDE}
WINDOW = 24
"""Tokens that every second layer looks back: fewer than a prompt has."""
EYE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}


def gemma3() -> parts.Tiny:
    words = parts.tokenizer(
        ["<start_of_turn>"],
        end="<end_of_turn>",
        begin="<bos>",
        boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
        image_token="<image_soft_token>",
    )
    config = hf.Gemma3Config(
        vision_config=hf.SiglipVisionConfig(**EYE, image_size=SIDE, patch_size=PATCH, vision_use_head=False),
        text_config=hf.Gemma3TextConfig(
            **parts.text(words),
            head_dim=8,
            query_pre_attn_scalar=8,
            sliding_window=WINDOW,
            layer_types=["sliding_attention", "full_attention"],
        ),
        mm_tokens_per_image=SEEN // 4,
        boi_token_index=words.convert_tokens_to_ids("<start_of_image>"),
        eoi_token_index=words.convert_tokens_to_ids("<end_of_image>"),
        image_token_index=words.convert_tokens_to_ids("<image_soft_token>"),
    )
    images = Gemma3ImageProcessor(size=SIZE)
    processor = hf.Gemma3Processor(images, words, image_seq_length=SEEN // 4, chat_template=TURNS)
    made = parts.wake(hf.Gemma3ForConditionalGeneration(config), processor)
    made.model.get_input_embeddings().weight.data *= 0.2  # the head as well: it would repeat what it reads
    return made


def paligemma2() -> parts.Tiny:
    """Its checkpoints have no chat template."""
    words = parts.tokenizer([], end="<eos>", begin="<bos>", image_token="<image>")
    processor = hf.PaliGemmaProcessor(SiglipImageProcessor(size=SIZE, image_seq_length=SEEN), words)
    config = hf.PaliGemmaConfig(
        vision_config=hf.SiglipVisionConfig(
            **EYE, image_size=SIDE, patch_size=PATCH, vision_use_head=False, projection_dim=32
        ),
        text_config=hf.Gemma2Config(
            **parts.text(words),
            head_dim=8,
            query_pre_attn_scalar=8,
            sliding_window=WINDOW,
            layer_types=["sliding_attention", "full_attention"],
        ),
        image_token_index=words.convert_tokens_to_ids("<image>"),
        projection_dim=32,
    )
    return parts.wake(hf.PaliGemmaForConditionalGeneration(config), processor)
