"""Mistral3 and Pixtral: a picture in its own proportions, with a token behind each row of it."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.pixtral.image_processing_pixtral import PixtralImageProcessor

from tests.families import parts

TURNS = (
    "{{ bos_token }}SYSTEM{% for message in messages %}{% if message['role'] == 'assistant' %}"
    "{{ message['content'][0]['text'] }}{{ eos_token }}{% else %}[INST]{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}[IMG]{% else %}{{ part['text'] }}{% endif %}{% endfor %}[/INST]{% endif %}"
    "{% endfor %}"
)
SYSTEM = "[SYSTEM_PROMPT]You see.[/SYSTEM_PROMPT]"
"""Mistral Small says who it is when it is told nothing else; Pixtral says nothing."""
MARKS = ["[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"]
PATCH = 7
EYE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "head_dim": 16}


def mistral3() -> parts.Tiny:
    words = parts.tokenizer(MARKS, end="</s>", begin="<s>")
    config = hf.Mistral3Config(
        **_settings(words, PATCH * 12), spatial_merge_size=2, image_token_index=words.convert_tokens_to_ids("[IMG]")
    )
    processor = _processor(words, PATCH * 12, TURNS.replace("SYSTEM", SYSTEM), merge=2)
    return parts.wake(hf.Mistral3ForConditionalGeneration(config), processor)


def pixtral() -> parts.Tiny:
    """Pixtral's checkpoints in Hugging Face layout call themselves `llava`, with a Pixtral tower."""
    words = parts.tokenizer(MARKS, end="</s>", begin="<s>")
    config = hf.LlavaConfig(
        **_settings(words, PATCH * 7),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_token_index=words.convert_tokens_to_ids("[IMG]"),
    )
    processor = _processor(words, PATCH * 7, TURNS.replace("SYSTEM", ""), merge=1)
    return parts.wake(hf.LlavaForConditionalGeneration(config), processor)


def _settings(words: Any, side: int) -> dict[str, Any]:
    return {
        "vision_config": hf.PixtralVisionConfig(**EYE, image_size=side, patch_size=PATCH),
        "text_config": hf.MistralConfig(**parts.text(words), sliding_window=None),
    }


def _processor(words: Any, side: int, template: str, merge: int) -> Any:
    images = PixtralImageProcessor(size={"longest_edge": side}, patch_size={"height": PATCH, "width": PATCH})
    return hf.PixtralProcessor(images, words, PATCH, merge, template)
