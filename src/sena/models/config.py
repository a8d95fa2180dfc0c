"""The recipe's `model` section."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sena.config import Config


class ModelConfig(Config):
    """Which model evolves, and in what precision."""

    name: str
    """A Hugging Face name, a local folder, or `mini` for the shipped miniature."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision of weights and computation; `auto` is float32 on a CPU and bfloat16 on a GPU."""
    device: str = "auto"
    """`auto` takes the first GPU when there is one, else the CPU; `split` spreads a model that no single GPU holds over
    all of them, for everything but training."""
    quantize: Literal["none", "4bit", "8bit"] = "none"
    """Holds the language model's layers in 4 or 8 bits (`pip install sena[gpu]`); then only adapters can learn."""
    picture_tokens: int | None = Field(default=None, ge=1)
    """Most tokens that a picture may take, for families that give a large photograph many thousands; null leaves it to
    the checkpoint. The new models keep it."""
    data_template: Literal["same", "llava_v1"] = "same"
    """Template under which answers are made: `same` as in training, or the released code's `llava_v1` (a quirk)."""
