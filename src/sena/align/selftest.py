"""Whether this model, as it is loaded, gives the same numbers on trees: asked once, before hours depend on it.

Families differ in what they make of a mask and of positions that jump, some without a word. So a real tree goes
through the model beside its plain rows, forward and backward, and a model that fails is trained on plain rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from sena.align import modes, plain, ranks
from sena.align.config import TrainConfig
from sena.align.tree_forward import TreeForward, attention_mask, text_attention
from sena.errors import ModelError
from sena.models import families
from sena.models.vlm import VLM
from sena.records import Pair

SAMPLE_PAIRS = 3
"""Of one image; one pair of another comes along, so that trees of different length stand in the batch."""
MATRICES, STRIDE = 16, 3
"""Gradients are compared on every third of the last 16 matrices: the last two layers, so little has to be kept."""


class Allowed(NamedTuple):
    """Largest gap of a log-probability, in nats a token, and of a gradient, relative to its length."""

    nats: float
    gradient: float


ALLOWED = {
    torch.float32: Allowed(1e-4, 1e-3),
    torch.float64: Allowed(1e-8, 1e-7),
    torch.float16: Allowed(0.02, 0.03),
    torch.bfloat16: Allowed(0.25, 0.15),
}


def choose_forward(
    vlm: VLM,
    settings: TrainConfig,
    pairs: Sequence[Pair],
    open_image: plain.OpenImage,
    say: Callable[[str], None] = lambda line: None,
) -> plain.Forward:
    """Trees when the settings want them and the model passes the test, else the plain batch and a line that says so.

    It follows from settings, model and pairs alone, so the reference, the training and a resumed run choose alike; of
    several ranks all do what the first to find a fault must.
    """
    if settings.packing == "plain" or not pairs:
        return plain.log_probabilities
    trees = TreeForward(settings.batch_tokens)
    here = ranks.here()
    found = here.together(lambda: find_fault(vlm, plain.encode_pairs(vlm, sample(pairs), open_image), trees))
    fault = next(filter(None, here.gather(found)), "")
    if not fault:
        return trees
    say(f"  trains on plain rows, since {fault}")
    return plain.log_probabilities


def sample(pairs: Sequence[Pair]) -> list[Pair]:
    """A few pairs of the image that has most of them, and one of another image."""
    images: dict[str, list[Pair]] = {}
    for pair in sorted(pairs, key=lambda pair: (pair.image_id, pair.id)):
        images.setdefault(pair.image_id, []).append(pair)
    first, *others = sorted(images.values(), key=lambda group: (-len(group), group[0].image_id))
    return [*first[:SAMPLE_PAIRS], *(group[0] for group in others[:1])]


def find_fault(vlm: VLM, pairs: Sequence[plain.Encoded], forward: plain.Forward) -> str:
    """Why `forward` must not stand in for the plain batch on this model; empty when it may."""
    if families.reads_both_ways(vlm.family):
        return "its prompt is read in both directions, so that no two prompts share anything"
    fault = refuse(vlm.model)
    if fault:
        return fault
    weights = _some_weights(vlm.model)
    learned = [weight.requires_grad for weight in vlm.model.parameters()]
    training = vlm.model.training
    vlm.model.eval().requires_grad_(False)
    for weight in weights:
        weight.requires_grad_(True)
    try:
        return _compare(vlm, pairs, forward, weights)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # foreign model code may fail in any way, and whichever it is, plain rows are the answer
        return f"this model cannot take a tree ({type(error).__name__}: {str(error).splitlines()[0][:200]})"
    finally:
        for weight, flag in zip(vlm.model.parameters(), learned, strict=True):
            weight.requires_grad_(flag)
        vlm.model.train(training)


def refuse(model: Any) -> str:
    """What is known to go wrong without an error, by name; empty when nothing is."""
    attention = text_attention(model)
    try:
        attention_mask(torch.ones(1, 1, 1, dtype=torch.bool), attention, torch.float32)
    except ModelError as error:
        return str(error)
    text = model.config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ["full_attention"]) - {"full_attention"}
    if kinds:  # a window or a running state would need more than the mask, and short samples do not show it
        return f"a tree has no meaning for layers of {' and '.join(sorted(kinds))}"
    return ""


def _compare(
    vlm: VLM, pairs: Sequence[plain.Encoded], forward: plain.Forward, weights: list[torch.nn.Parameter]
) -> str:
    allowed = ALLOWED[vlm.dtype]
    found, gradients = _measure(vlm, [list(pairs)], forward, weights)
    truth, true_gradients = _measure(vlm, [[pair] for pair in pairs], plain.log_probabilities, weights)
    gap = float((found - truth).abs().max())
    if not gap <= allowed.nats:
        return f"log-probabilities of a tree differ by {gap:.2g} nats a token, where rounding makes {allowed.nats:g}"
    length = max(float(one.norm()) for one in true_gradients)
    gap = max(float((one - other).norm()) / length for one, other in zip(gradients, true_gradients, strict=True))
    if not gap <= allowed.gradient:
        return f"gradients of a tree differ by {gap:.2g} of their length, where rounding makes {allowed.gradient:g}"
    return ""


def _measure(
    vlm: VLM, batches: list[list[plain.Encoded]], forward: plain.Forward, weights: list[torch.nn.Parameter]
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Log-probability a token of all answers, and the gradients of all margins together."""
    means: list[torch.Tensor] = []
    sums = [torch.zeros_like(weight, dtype=torch.float32) for weight in weights]
    for batch in batches:
        found = forward(vlm, batch)
        means += [found.chosen / found.chosen_tokens, found.rejected / found.rejected_tokens]
        goal = (found.chosen - 0.5 * found.rejected).sum()  # unequal, so that what both share does not cancel
        for total, gradient in zip(sums, torch.autograd.grad(goal, weights), strict=True):
            total += gradient.float()
    chosen, rejected = torch.cat(means[0::2]), torch.cat(means[1::2])
    return torch.stack([chosen, rejected]).detach(), sums


def _some_weights(model: Any) -> list[torch.nn.Parameter]:
    """A few matrices of the last layers and of the head, vision tower and quantised ones left out."""
    inside = {id(weight) for weight in modes.tower(model).parameters()}
    others = [weight for weight in model.parameters() if weight.ndim == 2 and id(weight) not in inside]
    matrices = [weight for weight in others if weight.is_floating_point()]
    return matrices[-MATRICES::STRIDE]
