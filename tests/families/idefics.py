"""Idefics3 and SmolVLM: tiles with marks that say their row and column, the small picture behind them."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.idefics3.image_processing_idefics3 import Idefics3ImageProcessor
from transformers.models.smolvlm.image_processing_smolvlm import SmolVLMImageProcessor
from transformers.models.smolvlm.video_processing_smolvlm import SmolVLMVideoProcessor

from tests.families import parts

TURNS = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}:"
    "{% if message['content'][0]['type'] != 'image' %} {% endif %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
MARKS = [
    *("<|im_start|>", "<image>", "<fake_token_around_image>", "<global-img>", "<video>"),
    *(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)),
]
SIDE, PATCH, MERGE = 28, 7, 2
SEEN = (SIDE // PATCH // MERGE) ** 2
"""Tokens of a tile."""
EYE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}


def idefics3() -> parts.Tiny:
    words = parts.tokenizer(MARKS, end="<end_of_utterance>")
    images = Idefics3ImageProcessor(size={"longest_edge": 2 * SIDE}, max_image_size={"longest_edge": SIDE})
    processor = hf.Idefics3Processor(images, words, image_seq_len=SEEN, chat_template=TURNS)
    return parts.wake(hf.Idefics3ForConditionalGeneration(hf.Idefics3Config(**_settings(words))), processor)


def smolvlm() -> parts.Tiny:
    words = parts.tokenizer(MARKS, end="<end_of_utterance>")
    sizes: dict[str, Any] = {"size": {"longest_edge": 3 * SIDE}, "max_image_size": {"longest_edge": SIDE}}
    processor = hf.SmolVLMProcessor(
        SmolVLMImageProcessor(**sizes),
        words,
        SmolVLMVideoProcessor(**sizes),
        image_seq_len=SEEN,
        chat_template=TURNS,
    )
    return parts.wake(hf.SmolVLMForConditionalGeneration(hf.SmolVLMConfig(**_settings(words))), processor)


def _settings(words: Any) -> dict[str, Any]:
    return {
        "vision_config": {**EYE, "image_size": SIDE, "patch_size": PATCH},
        "text_config": {"model_type": "llama", **parts.text(words)},
        "image_token_id": words.convert_tokens_to_ids("<image>"),
        "scale_factor": MERGE,
        "pad_token_id": words.pad_token_id,
        "tie_word_embeddings": False,
    }
