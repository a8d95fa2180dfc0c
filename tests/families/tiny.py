"""The tiny model of each family in `sena.models.families`, by the family's name."""

from __future__ import annotations

from collections.abc import Callable

from tests.families import google, idefics, internvl, llava, mistral, qwen, tiles
from tests.families.parts import Tiny

TINY: dict[str, Callable[[], Tiny]] = {
    "LLaVA-1.5": llava.llava,
    "Qwen2-VL": qwen.qwen2_vl,
    "Qwen2.5-VL": qwen.qwen2_5_vl,
    "Qwen3-VL": qwen.qwen3_vl,
    "InternVL3": internvl.internvl,
    "LLaVA-NeXT": tiles.llava_next,
    "LLaVA-OneVision": tiles.llava_onevision,
    "Idefics3": idefics.idefics3,
    "SmolVLM": idefics.smolvlm,
    "Gemma 3": google.gemma3,
    "PaliGemma 2": google.paligemma2,
    "Mistral3": mistral.mistral3,
    "Pixtral": mistral.pixtral,
}
