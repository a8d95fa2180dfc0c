"""How much memory training takes, from a model's config.json alone: no weight is read or made.

Weights, master copy, gradients and optimizer states are exact (8-bit ones but for the last block of each weight).
Activations are an estimate with fused attention (tests hold it to what autograd really saves), at the longest answers
that the settings allow for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sena.align.config import AlignSettings, TrainConfig

if TYPE_CHECKING:
    from sena.models.quantize import Quantize

PROMPT_TOKENS = 64
"""A generous length for a user's turn beside the picture."""
FLOAT32 = 4


@dataclass(frozen=True, slots=True)
class Parts:
    """Parameters of each part of a model, weights tied to one another counted once."""

    vision: int
    projector: int
    language: int

    @property
    def total(self) -> int:
        return self.vision + self.projector + self.language


@dataclass(frozen=True, slots=True)
class MemorySum:
    """Bytes that training takes, by what they are for. `learning` counts the parameters that are trained, `stored`
    the bytes that the model takes on disk."""

    parts: Parts
    learning: int
    dtype: str
    weights: int
    master: int
    gradients: int
    optimizer: int
    activations: int
    stored: int

    @property
    def total(self) -> int:
        return self.weights + self.master + self.gradients + self.optimizer + self.activations

    @property
    def checkpoint(self) -> int:
        """Bytes of a checkpoint: the weights that learn, as the optimizer keeps them, and its states."""
        return (self.master or self.gradients) + self.optimizer  # a gradient is as large as its weight


class Batch(NamedTuple):
    """Tokens that go through the language model together, and how many of them are answers, which the head scores."""

    tokens: int
    answers: int


def memory(
    name: str,
    settings: AlignSettings,
    dtype: str = "auto",
    device: str = "auto",
    answer_tokens: int = 512,
    quantize: Quantize = "none",
) -> MemorySum:
    """What one device needs to train the model `name` (folder, hub name, run or `mini`).

    With `train.parallel: fsdp2` the processes of this machine share what learns (adapters are whole on each), but each
    loads all weights first.
    `answer_tokens` is the longest answer. Raises ModelError when there is no such model or it reads no pictures.
    """
    from sena.align import eight_bit, modes
    from sena.models import quantize as quantizing
    from sena.models.load import resolve_device, resolve_dtype
    from sena.rounds import launch

    place = resolve_device(device)
    precision = resolve_dtype(dtype, place)
    model = empty_model(name)
    parts = count_parts(model)
    is_full = settings.train.method == "full"
    adapters = 0 if is_full else adapter_parameters(model, settings)
    projector = 0 if settings.train.projector_learning_rate == 0 else parts.projector
    learning = parts.language + projector if is_full else adapters
    holders = launch.count(settings.train) if settings.train.parallel == "fsdp2" else 1
    held = learning // holders if is_full else adapters
    in_8_bits = settings.train.optimizer == "adamw_8bit"
    learns_in = precision.itemsize if is_full else FLOAT32  # adapters are float32 beside weights of any precision
    is_checkpointed = settings.train.gradient_checkpointing
    if is_checkpointed == "auto":
        rests = parts.total - parts.vision - (learning if is_full else 0)
        is_checkpointed = modes.is_tight(held, parts.vision + rests // holders, place, settings.train.optimizer)
    return MemorySum(
        parts=parts,
        learning=learning,
        dtype=str(precision).removeprefix("torch."),
        weights=parts.total * precision.itemsize - quantizing.saved(model, quantize, precision) + adapters * FLOAT32,
        stored=parts.total * precision.itemsize,
        master=held * FLOAT32 if learns_in < FLOAT32 and not in_8_bits else 0,
        gradients=held * learns_in,
        optimizer=2 * round(held * (eight_bit.BYTES_A_STATE if in_8_bits else FLOAT32)),
        activations=activations(
            model.config, batch(model.config, settings.train, answer_tokens), precision.itemsize, is_checkpointed
        ),
    )


def empty_model(name: str) -> Any:
    """The model on torch's meta device: every shape, no weight. Raises ModelError as `models.load.load` does."""
    import torch
    from transformers import AutoModelForImageTextToText

    from sena.models.load import load_config
    from sena.recipes.names import model_or_run

    config = load_config(model_or_run(name))
    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(config)


def count_parts(model: Any) -> Parts:
    """Parameters of vision tower, projector (all that is neither of the others) and language model with its head."""
    from sena.align.modes import TONGUES, TOWERS

    head = model.get_output_embeddings()
    heads = {id(weight) for weight in head.parameters()} if head is not None else set()
    vision = projector = language = 0
    for name, weight in model.named_parameters():
        way = name.split(".")
        if any(part in TOWERS for part in way):
            vision += weight.numel()
        elif any(part in TONGUES for part in way) or id(weight) in heads:
            language += weight.numel()
        else:
            projector += weight.numel()
    return Parts(vision, projector, language)


def adapter_parameters(model: Any, settings: AlignSettings) -> int:
    """Parameters of the adapters: rank x (inputs + outputs) for each adapted layer."""
    from sena.align import modes

    layers = [model.get_submodule(name) for name in modes.linear_names(model, settings.lora.targets)]
    return sum(settings.lora.r * (layer.in_features + layer.out_features) for layer in layers)


def batch(config: Any, train: TrainConfig, answer_tokens: int) -> Batch:
    """What goes through the model together: rows, or trees of one pair each up to the budget and at least one tree."""
    before = image_tokens(config) + PROMPT_TOKENS
    if train.packing == "plain":
        rows = 2 * train.pairs_per_batch
        return Batch(rows * (before + answer_tokens), rows * answer_tokens)
    tree = before + 2 * answer_tokens
    trees = max(train.batch_tokens // tree, 1)
    return Batch(max(train.batch_tokens, tree), trees * 2 * answer_tokens)


def activations(config: Any, work: Batch, size: int, is_checkpointed: bool) -> int:
    """Bytes between forward and backward of a batch in numbers of `size` bytes.

    A layer keeps per token: both norms' input in float32, before and after their weight; queries, keys, values and
    the attended values; the gated half, its activation, the other half and their product. With checkpointing only
    each layer's input stays, and one layer at a time is held whole. The head keeps the answers' logits twice (as they
    come and in float32) and their gradient.
    """
    text = config.get_text_config()
    width, layers = text.hidden_size, text.num_hidden_layers
    layer = work.tokens * (2 * FLOAT32 * width + size * (8 * width + 4 * text.intermediate_size))
    kept = layers * work.tokens * width * size + layer if is_checkpointed else layers * layer
    head = work.answers * text.vocab_size * (size + 2 * FLOAT32)
    return kept + head


def image_tokens(config: Any) -> int:
    """Tokens that a picture takes: one for each patch where pictures have one size, else 1,024 as a guess."""
    vision = getattr(config, "vision_config", None)
    side, patch = getattr(vision, "image_size", None), getattr(vision, "patch_size", None)
    return (side // patch) ** 2 if isinstance(side, int) and isinstance(patch, int) else 1024
