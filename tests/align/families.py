"""Tiny random models of other families, and pairs of ids for them: enough to ask whether a tree is right on them.

They have no processor of their own: ids and pixels are made by hand, in the form that the family's model takes.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
import transformers

from sena.align.plain import Encoded
from sena.models.encode import Pixels
from sena.models.template import Template
from sena.models.vlm import VLM
from sena.records import Pair

IMAGE, START, STOP, PAD = 3, 4, 5, 0
"""Ids of an image's placeholder, of the marks around it (Qwen), and of padding."""
TEXT = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
QWEN_IDS = {
    "image_token_id": IMAGE,
    "video_token_id": 6,
    "vision_start_token_id": START,
    "vision_end_token_id": STOP,
}
ROPE = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [1, 1, 2]}
SQUARE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}


def llava_qwen() -> Any:
    """Grouped query heads behind LLaVA's plain positions."""
    vision = transformers.CLIPVisionConfig(**SQUARE, image_size=28, patch_size=14)
    text = transformers.Qwen2Config(**TEXT)
    return transformers.LlavaForConditionalGeneration(
        transformers.LlavaConfig(vision_config=vision, text_config=text, image_token_index=IMAGE)
    )


def qwen2_5_vl() -> Any:
    """Positions of three axes."""
    vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32}
    vision |= {"patch_size": 14, "window_size": 28, "fullatt_block_indexes": [1]}
    config = transformers.Qwen2_5_VLConfig(
        vision_config=vision, text_config={**TEXT, "rope_parameters": ROPE}, **QWEN_IDS
    )
    return transformers.Qwen2_5_VLForConditionalGeneration(config)


def qwen3_vl() -> Any:
    """Three axes, interleaved, and features of the tower added inside the language model."""
    vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32}
    vision |= {"patch_size": 14, "num_position_embeddings": 16, "deepstack_visual_indexes": [0]}
    text = {**TEXT, "head_dim": 8, "rope_parameters": ROPE}
    return transformers.Qwen3VLForConditionalGeneration(
        transformers.Qwen3VLConfig(vision_config=vision, text_config=text, **QWEN_IDS)
    )


def internvl() -> Any:
    vision = {**SQUARE, "image_size": [28, 28], "patch_size": [7, 7]}
    return transformers.InternVLForConditionalGeneration(
        transformers.InternVLConfig(
            vision_config=vision,
            text_config=transformers.Qwen2Config(**TEXT),
            image_token_id=IMAGE,
            image_seq_length=4,
        )
    )


def square_pixels(generator: torch.Generator) -> Pixels:
    return Pixels({"pixel_values": torch.randn(1, 3, 28, 28, generator=generator)}, "")


def patch_pixels(generator: torch.Generator) -> Pixels:
    """A picture of 4 by 6 patches of 14: 2 by 3 tokens, so that its axes are told apart."""
    values = torch.randn(24, 3 * 2 * 14 * 14, generator=generator)
    return Pixels({"pixel_values": values, "image_grid_thw": torch.tensor([[1, 4, 6]])}, "")


FAMILIES = {
    "llava_qwen": (llava_qwen, square_pixels, [IMAGE] * 4),
    "qwen2_5_vl": (qwen2_5_vl, patch_pixels, [START, *[IMAGE] * 6, STOP]),
    "qwen3_vl": (qwen3_vl, patch_pixels, [START, *[IMAGE] * 6, STOP]),
    "internvl": (internvl, square_pixels, [IMAGE] * 4),
}


def make(name: str) -> tuple[VLM, list[Encoded]]:
    """The model, and six pairs about two pictures."""
    build, pixels, span = FAMILIES[name]
    torch.manual_seed(0)
    model = build().eval()
    for weight in model.parameters():
        if weight.ndim == 2:
            torch.nn.init.normal_(weight, std=0.2)
    tokenizer = SimpleNamespace(pad_token_id=PAD, convert_tokens_to_ids=lambda token: IMAGE)
    processor = SimpleNamespace(tokenizer=tokenizer, image_token="<image>")
    vlm = VLM(model, processor, Template("none", "", "", "", "", ""), name)
    return vlm, [pair for number in range(2) for pair in _pairs(f"image{number}", pixels, span, number)]


def _pairs(image: str, make_pixels: Any, span: list[int], seed: int) -> list[Encoded]:
    generator = torch.Generator().manual_seed(seed)
    pixels = make_pixels(generator)

    def words(length: int) -> list[int]:
        return torch.randint(10, 90, (length,), generator=generator).tolist()

    prompts = [words(3), words(5)]
    return [
        Encoded(
            Pair(f"{image}-{number}", "row", image, "answer", "", "", ""),
            pixels,
            [1, 7, *span, 8, *prompts[number % 2]],
            [*words(2 + number), 2],
            [*words(3), 2],
        )
        for number in range(3)
    ]
