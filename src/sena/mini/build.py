"""The miniature model and its processor, with random weights: a LLaVA like the large one, only 1.5 M parameters.

Shapes: B pictures, C = 9 cells (one image token each), D = 128 features.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sena.mini import language, world

if TYPE_CHECKING:
    from transformers import LlavaForConditionalGeneration, LlavaProcessor, PreTrainedTokenizerFast

WIDTH, LAYERS, HEADS = 128, 4, 4
# Half a unit either side of grey: pictures span -1 to 1 before noise is added, so one noise step means one thing.
MEAN, STD = 0.5, 0.5

# One user turn, image first; the assistant's turn is opened, its answer ends with </s>.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}<s>user : "
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>\n{% endif %}{% endfor %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{% endif %}"
    "{% else %} assistant : "
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{{ part['text'] }}{% endfor %}{% endif %}</s>"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %} assistant :{% endif %}"
)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A word-level tokenizer: lower case, punctuation apart, decoded words joined by blanks."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    ids = {word: number for number, word in enumerate(language.vocabulary())}
    core = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    core.normalizer = normalizers.Lowercase()
    # A word may hold hyphens (top-left is one word); any other mark stands alone.
    core.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\w\-]+|[^\w\s]"), behavior="removed", invert=True)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>"},
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_max_length=512,
    )


def make_processor() -> LlavaProcessor:
    from transformers import LlavaProcessor
    from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

    side = {"height": world.SIDE, "width": world.SIDE}
    pictures = LlavaImageProcessorPil(
        size={"shortest_edge": world.SIDE}, crop_size=side, image_mean=[MEAN] * 3, image_std=[STD] * 3, do_pad=True
    )
    return LlavaProcessor(
        image_processor=pictures,
        tokenizer=make_tokenizer(),
        patch_size=world.CELL,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def make_model(seed: int) -> LlavaForConditionalGeneration:
    """The untrained model. The same seed gives the same weights."""
    import torch
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    torch.manual_seed(seed)
    words = language.vocabulary()
    eye = CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        image_size=world.SIDE, patch_size=world.CELL, projection_dim=WIDTH,
    )  # fmt: skip
    tongue = LlamaConfig(
        vocab_size=len(words), hidden_size=WIDTH, intermediate_size=3 * WIDTH, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=HEADS, max_position_embeddings=512, tie_word_embeddings=False,
        pad_token_id=words.index("<pad>"), bos_token_id=words.index("<s>"), eos_token_id=words.index("</s>"),
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=eye, text_config=tongue, image_token_index=words.index("<image>"), projector_hidden_act="gelu",
        vision_feature_select_strategy="default", vision_feature_layer=-1, image_seq_length=9,
        tie_word_embeddings=False, pad_token_id=words.index("<pad>"),  # pyright: ignore[reportCallIssue]
    )  # fmt: skip
    model = LlavaForConditionalGeneration(config).float()
    settings = model.generation_config
    settings.do_sample, settings.pad_token_id = False, words.index("<pad>")
    settings.bos_token_id, settings.eos_token_id = words.index("<s>"), words.index("</s>")
    return model


def normalise(pictures: np.ndarray) -> np.ndarray:
    """uint8 [B, 48, 48, 3] to float32 [B, 3, 48, 48] as the processor does it."""
    scaled = (pictures.astype(np.float32) / 255.0 - MEAN) / STD
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def kept_signal() -> np.ndarray:
    """Share of the signal's variance left after each of the 1,000 diffusion steps, float64 [1000]."""
    beta = (0.005 - 1e-5) / (1.0 + np.exp(-np.linspace(-6.0, 6.0, 1000))) + 1e-5
    return np.cumprod(1.0 - beta)


def save(model: LlavaForConditionalGeneration, folder: Path) -> None:
    """Model, processor and tokenizer in Hugging Face layout: safetensors and JSON only."""
    model.save_pretrained(folder)
    make_processor().save_pretrained(folder)
