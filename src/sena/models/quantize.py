"""Weights in 4 or 8 bits (bitsandbytes): the language model's linear layers, all else stays as it is.

4 bits are NF4 with doubly quantised scales: Dettmers et al. 2023, "QLoRA". 8 bits are Dettmers et al. 2022,
"LLM.int8()", which rounds what goes into a layer as well, and computes in float16.
"""

from __future__ import annotations

import logging
import math
from importlib.util import find_spec
from typing import Any, Literal

import torch

from sena.errors import ModelError

Quantize = Literal["none", "4bit", "8bit"]
BLOCK = 64
"""Weights that share a scale in 4 bits."""
BYTES = {"4bit": 0.5 + 1 / BLOCK + 4 / (BLOCK * 256), "8bit": 1.0}
"""Bytes that a quantised weight takes: four bits, and for 64 of them a scale of a byte, for 256 scales one of four."""


def options(config: Any, quantize: Quantize, dtype: torch.dtype, device: torch.device) -> dict[str, Any]:
    """What `from_pretrained` is to be told.

    Raises ModelError when bitsandbytes is not installed, and for a model that it would compute wrongly with.
    """
    from transformers import BitsAndBytesConfig

    if find_spec("bitsandbytes") is None:
        raise ModelError(f"model.quantize: {quantize} needs bitsandbytes: pip install sena[gpu]")
    model = _empty(config)
    if quantize == "4bit" and device.type == "cpu":
        _demand_whole_blocks(model)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it tells of every cast to float16, at every layer
    how = {
        "4bit": {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": True,
            "bnb_4bit_compute_dtype": dtype,
        },
        "8bit": {"load_in_8bit": True},
    }[quantize]
    return {
        "quantization_config": BitsAndBytesConfig(**how, llm_int8_skip_modules=kept_whole(model)),
        "device_map": {"": device},
    }


def _demand_whole_blocks(model: Any) -> None:
    """On a CPU bitsandbytes takes every row for whole blocks, and gives wrong weights where it is not (0.50)."""
    for name in linear_names(model):
        inputs = model.get_submodule(name).in_features
        if inputs % BLOCK:
            raise ModelError(
                f"model.quantize: 4bit on a CPU needs layers of a multiple of {BLOCK} inputs, and {name} has {inputs}: "
                "take 8bit"
            )


def kept_whole(model: Any) -> list[str]:
    """Names of the linear layers outside the language model: vision tower, projector, head."""
    inner = set(linear_names(model))
    linears = {name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    return sorted(linears - inner)


def linear_names(model: Any) -> list[str]:
    """Names of the linear layers of the language model, which is without its head here."""
    decoder = model.get_decoder()
    inner = next(name for name, module in model.named_modules() if module is decoder)
    return [f"{inner}.{name}" for name, module in decoder.named_modules() if isinstance(module, torch.nn.Linear)]


def saved(model: Any, quantize: Quantize, dtype: torch.dtype) -> int:
    """Bytes that a model, whose weights need not be there, takes less for being quantised."""
    if quantize == "none":
        return 0
    layers = [model.get_submodule(name) for name in linear_names(model)]
    return round(sum(layer.in_features * layer.out_features for layer in layers) * (dtype.itemsize - BYTES[quantize]))


def settle(model: Any) -> None:
    """Let 4-bit layers compute on a CPU as they do elsewhere.

    On CPUs with bfloat16 they would repack their weights at the first forward without gradient, lose precision by it
    and give no gradient afterwards.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def is_quantized(model: Any) -> bool:
    """Whether some weights are in 4 or 8 bits, wrapped in adapters or not."""
    return any(type(weight).__name__ in ("Params4bit", "Int8Params") for weight in model.parameters())


def rounds_inputs(module: Any) -> bool:
    """Whether a layer computes in 8 bits: on a CPU it does so in evaluation mode only, so that the policy would differ
    from its reference."""
    return type(module).__name__ == "Linear8bitLt"


def count(weight: torch.Tensor) -> int:
    """How many numbers a weight stands for: in 4 bits two share a byte."""
    state = getattr(weight, "quant_state", None)
    return weight.numel() if state is None else math.prod(state.shape)


def _empty(config: Any) -> Any:
    from transformers import AutoModelForImageTextToText

    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(config)
