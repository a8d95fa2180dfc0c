"""The families of models that sena knows: what each needs, how it learns, and how that is tested. One plain table.

What the code has to know of a family stands here and is looked up; nothing else asks for a model type by name. How to
add a family: docs/families.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

WHOLE_LOOP = "tiny, whole loop"
AXES = "branches take the model's own positions on three axes"
COUNTS = "branches count their own tokens"
WINDOWS = "a picture's tokens see each other both ways, and some layers look back no further than a window"
WHOLE_PROMPT = "picture and prompt see each other both ways, so that no two prompts share anything"


@dataclass(frozen=True, slots=True)
class Family:
    """What is known of a family. Whether a loaded model keeps to it is tried at the start of a run all the same."""

    name: str
    types: tuple[str, ...]
    """`model_type` in the configurations of its checkpoints."""
    example: str
    """A checkpoint on the hub that is of this family."""
    trains: Literal["tree", "plain"]
    """Whether what an image's answers share goes through the model once, or every answer has a row of its own."""
    why: str
    """What lets it be a tree, or what forbids it."""
    reads: Literal["shared", "plain"] = "shared"
    """Whether generation reads a picture once for all prompts, or anew for each."""
    needs: tuple[str, ...] = ()
    """Packages beyond sena's own, by the name under which they are installed."""
    tested: str = WHOLE_LOOP
    """What has been run with it; empty for nothing. No family is tested here with weights that were trained."""
    told: Literal["", "picture", "answer"] = ""
    """What the model has to be told of each token to attend rightly: whether it is a picture's, or an answer's."""
    pads_to_square: bool = False
    """Its checkpoints were trained on pictures padded to a square, which the hub's processor crops instead."""


VISION = ("torchvision",)
FAMILIES = (
    Family("LLaVA-1.5", ("llava",), "llava-hf/llava-1.5-7b-hf", "tree", COUNTS, pads_to_square=True),
    Family("Qwen2-VL", ("qwen2_vl",), "Qwen/Qwen2-VL-7B-Instruct", "tree", AXES, needs=VISION),
    Family("Qwen2.5-VL", ("qwen2_5_vl",), "Qwen/Qwen2.5-VL-7B-Instruct", "tree", AXES, needs=VISION),
    Family("Qwen3-VL", ("qwen3_vl",), "Qwen/Qwen3-VL-8B-Instruct", "tree", AXES, needs=VISION),
    Family("InternVL3", ("internvl",), "OpenGVLab/InternVL3-8B-hf", "tree", COUNTS, needs=VISION),
    Family("LLaVA-NeXT", ("llava_next",), "llava-hf/llava-v1.6-mistral-7b-hf", "tree", COUNTS),
    Family(
        "LLaVA-OneVision",
        ("llava_onevision",),
        "llava-hf/llava-onevision-qwen2-7b-ov-hf",
        "tree",
        COUNTS,
        needs=VISION,
    ),
    Family("Idefics3", ("idefics3",), "HuggingFaceM4/Idefics3-8B-Llama3", "tree", COUNTS),
    Family(
        "SmolVLM", ("smolvlm",), "HuggingFaceTB/SmolVLM2-2.2B-Instruct", "tree", COUNTS, needs=(*VISION, "num2words")
    ),
    Family("Gemma 3", ("gemma3",), "google/gemma-3-4b-it", "plain", WINDOWS, reads="plain", told="picture"),
    Family(
        "PaliGemma 2",
        ("paligemma",),
        "google/paligemma2-3b-mix-224",
        "plain",
        WHOLE_PROMPT,
        reads="plain",
        told="answer",
    ),
    Family("Mistral3", ("mistral3",), "mistralai/Mistral-Small-3.1-24B-Instruct-2503", "tree", COUNTS, needs=VISION),
    Family("Pixtral", ("pixtral",), "mistral-community/pixtral-12b", "tree", COUNTS, needs=VISION),
)


def kind(config: Any) -> str:
    """The type by which a configuration is looked up: its `model_type`, but for Pixtral, which calls itself `llava`."""
    tower = getattr(config, "vision_config", None)
    is_pixtral = config.model_type == "llava" and getattr(tower, "model_type", "") == "pixtral"
    return "pixtral" if is_pixtral else config.model_type


def find(model_type: str) -> Family | None:
    """The family of a type as `kind` tells it; None for one that is not in the table."""
    return next((family for family in FAMILIES if model_type in family.types), None)


def reads_both_ways(model_type: str) -> bool:
    """Whether a prompt's tokens see what comes behind them, so that no two prompts have anything in common."""
    family = find(model_type)
    return family is not None and family.told == "answer"


def pads_to_square(model_type: str) -> bool:
    """Whether pictures are padded to a square before the model's own processor sees them."""
    family = find(model_type)
    return family is not None and family.pads_to_square


def remark(model_type: str) -> str:
    """What a user should hear before a run with a model of this type; empty for a family in the table."""
    if find(model_type):
        return ""
    known = ", ".join(family.name for family in FAMILIES)
    return (
        f"{model_type} is no family that sena knows ({known}): it is tried by general means, and what it cannot do is "
        "found out on the first picture and told"
    )
