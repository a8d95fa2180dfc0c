"""Which weights learn and in which mode the model stands: the one place that knows a model's parts by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import torch

from sena import seeds
from sena.align.config import LoraConfig
from sena.errors import ModelError
from sena.models import adapters
from sena.models.quantize import is_quantized, rounds_inputs
from sena.models.vlm import VLM

TOWERS = ("vision_tower", "vision_model", "visual")
TONGUES = ("language_model", "text_model")
BYTES_A_WEIGHT = {
    "adamw": 18,  # in bfloat16: 2 weight + 4 master + 8 states + 2 gradient + 2 to spare
    "adamw_8bit": 8,  # 2 weight + 2 states + 2 gradient + 2 to spare
}


@contextmanager
def scoring(vlm: VLM) -> Iterator[None]:
    """No gradients, no dropout."""
    was_training = vlm.model.training
    vlm.model.eval()
    with torch.no_grad():
        yield
    vlm.model.train(was_training)


def prepare_full(vlm: VLM, projector: bool = True) -> VLM:
    """All weights learn, except those of the vision tower, and of the projector unless it shall."""
    vlm.model.requires_grad_(True)
    tower(vlm.model).requires_grad_(False)
    for weight in projector_weights(vlm.model).values():
        weight.requires_grad_(projector)
    return vlm


def projector_weights(model: Any) -> dict[str, torch.nn.Parameter]:
    """Names and weights of all that belongs neither to the vision tower nor to the language model and its head."""
    head = model.get_output_embeddings()
    parts = (tower(model), tongue(model), head) if head is not None else (tower(model), tongue(model))
    others = {id(weight) for part in parts for weight in part.parameters()}
    return {name: weight for name, weight in model.named_parameters() if id(weight) not in others}


def prepare_lora(vlm: VLM, config: LoraConfig, seed: int) -> VLM:
    """A model whose only learning weights are new adapters (float32) on the language model's linear layers.

    Adapters begin at zero, so the model starts as the reference whatever came before. Raises ModelError when no layer
    is called as the recipe says.
    """
    with adapters.quiet():
        import peft

    settings = peft.LoraConfig(
        r=config.r,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=linear_names(vlm.model, config.targets),
    )
    devices = [vlm.device] if vlm.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), adapters.quiet():
        torch.manual_seed(seeds.derive(seed, "lora"))
        model = peft.get_peft_model(vlm.model, settings)
    return replace(vlm, model=model)


def finish(vlm: VLM, method: Literal["full", "lora"]) -> tuple[VLM, adapters.Adapter | None]:
    """No gradients, evaluation mode, and adapters merged into the weights: the next round's reference. What adapters
    learned comes beside it.

    Quantised weights cannot take adapters in without another loss, so there they stay beside the weights.
    """
    _recompute(vlm.model, False)
    model, adapter = vlm.model, None
    if method == "lora":
        adapter = adapters.take(model)
        model = model if is_quantized(model) else model.merge_and_unload()
    model.requires_grad_(False)
    model.eval()
    return replace(vlm, model=model), adapter


def has_adapters(vlm: VLM) -> bool:
    """Whether adapters are what learns."""
    return hasattr(vlm.model, "peft_config")


def learning(vlm: VLM) -> list[tuple[str, torch.nn.Parameter]]:
    """Names and weights that learn; weights tied to one another come once."""
    return [(name, weight) for name, weight in vlm.model.named_parameters() if weight.requires_grad]


def set_training(vlm: VLM, checkpointing: bool | Literal["auto"], optimizer: str = "adamw", holders: int = 1) -> None:
    """Training mode with every dropout at zero and the frozen tower in evaluation mode.

    Only gradient checkpointing needs training mode, and transformers asks for it there. `holders` says over how many
    GPUs the weights are cut, but for the tower's and adapters.
    """
    if checkpointing == "auto":
        learns = sum(weight.numel() for _, weight in learning(vlm))
        whole = sum(weight.numel() for weight in tower(vlm.model).parameters())
        rests = sum(weight.numel() for weight in vlm.model.parameters()) - learns - whole
        held = learns if has_adapters(vlm) else learns // holders
        checkpointing = is_tight(held, whole + rests // holders, vlm.device, optimizer)
    if checkpointing:
        _recompute(vlm.model, True)
    vlm.model.train()
    tower(vlm.model).eval()
    for module in vlm.model.modules():
        if rounds_inputs(module):
            module.eval()
        for name in ("p",) if isinstance(module, torch.nn.Dropout) else ("attention_dropout", "dropout"):
            if isinstance(getattr(module, name, None), float):
                module.__dict__[name] = 0.0


def is_tight(learns: int, rests: int, device: torch.device, optimizer: str) -> bool:
    """Whether weights and optimizer leave less than a third of a GPU to activations; both are counted in numbers."""
    if device.type != "cuda":
        return False
    total = torch.cuda.get_device_properties(device).total_memory
    return learns * BYTES_A_WEIGHT[optimizer] + rests * 2 > total * 2 / 3


def linear_names(model: Any, targets: Sequence[str]) -> list[str]:
    """Full names of the language model's linear layers, those called as in `targets` only when it is not empty."""
    inner = tongue(model)
    prefix = next(name for name, module in model.named_modules() if module is inner)
    linears = [name for name, module in inner.named_modules() if isinstance(module, torch.nn.Linear)]
    chosen = [f"{prefix}.{name}" for name in linears if not targets or name.rpartition(".")[2] in targets]
    if not chosen:
        known = ", ".join(sorted({name.rpartition(".")[2] for name in linears}))
        raise ModelError(f"no linear layer is called {' or '.join(targets)}: lora.targets may hold {known}")
    return chosen


def tower(model: Any) -> Any:
    """The vision tower, wrapped in adapters or not."""
    return _child(model, TOWERS)


def tongue(model: Any) -> Any:
    """The language model without its head, wrapped in adapters or not."""
    return _child(model, TONGUES)


def _child(model: Any, names: Sequence[str]) -> Any:
    """The outermost module that bears one of `names`. Raises ModelError when none does."""
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in names:
            return module
    raise ModelError(
        f"{type(model).__name__} has no part called {' or '.join(names)}: sena cannot train this family yet"
    )


def _recompute(model: Any, on: bool) -> None:
    """Switch gradient checkpointing, which transformers renamed to activation checkpointing on its way to version 6.

    It also lets all embeddings require gradients, which checkpoints that re-enter need and these do not: the frozen
    tower would keep its activations, and the backward pass go through it.
    """
    word = "activation" if hasattr(model, "activation_checkpointing_enable") else "gradient"
    if on:
        getattr(model, f"{word}_checkpointing_enable")(**{f"{word}_checkpointing_kwargs": {"use_reentrant": False}})
        model.disable_input_require_grads()
    else:
        getattr(model, f"{word}_checkpointing_disable")()
