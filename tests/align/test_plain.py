"""The plain batch against one sequence at a time in float64."""

from __future__ import annotations

import copy

import pytest
import torch

from sena.align import plain
from sena.models import encode
from sena.models.vlm import VLM
from tests.align.world import open_image, some_pairs


def alone(vlm: VLM, prompt: list[int], answer: list[int], pixels: encode.Pixels) -> float:
    """One unpadded sequence through a float64 model, all logits, no mask: summed over the answer by a plain loop."""
    model = copy.deepcopy(vlm.model).double()
    values = pixels.tensors["pixel_values"].double()
    logits = model(input_ids=torch.tensor([prompt + answer]), pixel_values=values).logits[0]
    steps = torch.log_softmax(logits, dim=-1)
    return sum(float(steps[len(prompt) + place - 1, token]) for place, token in enumerate(answer))


@torch.no_grad()
def test_equals_one_at_a_time_in_float64(tiny: VLM) -> None:
    pairs = plain.encode_pairs(tiny, some_pairs(images=3), open_image)
    found = plain.log_probabilities(tiny, pairs)
    for number, pair in enumerate(pairs):
        assert float(found.chosen[number]) == pytest.approx(
            alone(tiny, pair.prompt, pair.chosen, pair.pixels), abs=2e-4
        )
        rejected = alone(tiny, pair.prompt, pair.rejected, pair.pixels)
        assert float(found.rejected[number]) == pytest.approx(rejected, abs=2e-4)


def test_counts_and_types(tiny: VLM) -> None:
    """The byte tokenizer gives " no" 3 tokens, and the end token makes 4."""
    pairs = plain.encode_pairs(tiny, some_pairs(images=3), open_image)
    found = plain.log_probabilities(tiny, pairs)
    assert found.chosen.dtype == found.rejected.dtype == torch.float32
    assert found.chosen_tokens.tolist() == [len(pair.chosen) for pair in pairs]
    assert found.rejected_tokens.tolist() == [len(pair.rejected) for pair in pairs]
    number = next(n for n, each in enumerate(pairs) if each.pair.chosen == "no")
    assert found.chosen_tokens[number] == 4
    assert all(pair.chosen[-1] == pair.rejected[-1] == tiny.end_id for pair in pairs)


def test_gradients_equal_those_of_pairs_alone(tiny: VLM) -> None:
    """Padding and company in the batch leak into no gradient."""
    pairs = plain.encode_pairs(tiny, some_pairs(images=2), open_image)
    together, apart = [], []
    plain.log_probabilities(tiny, pairs).chosen.sum().backward()
    for weight in tiny.model.parameters():
        together.append(torch.zeros_like(weight) if weight.grad is None else weight.grad)
        weight.grad = None
    for pair in pairs:
        plain.log_probabilities(tiny, [pair]).chosen.sum().backward()
    apart = [torch.zeros_like(w) if w.grad is None else w.grad for w in tiny.model.parameters()]
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def test_no_logits_beyond_the_answers(tiny: VLM) -> None:
    """The head sees one row for each answer token, never all tokens of the batch."""
    pairs = plain.encode_pairs(tiny, some_pairs(images=2), open_image)
    seen: list[int] = []
    tiny.model.lm_head.register_forward_hook(lambda module, inputs, out: seen.append(out.numel() // out.shape[-1]))
    plain.log_probabilities(tiny, pairs)
    assert seen == [sum(len(pair.chosen) + len(pair.rejected) for pair in pairs)]


def test_a_picture_is_opened_once(tiny: VLM) -> None:
    opened: list[str] = []

    def open_counted(image: str):  # type: ignore[no-untyped-def]
        opened.append(image)
        return open_image(image)

    pairs = plain.encode_pairs(tiny, some_pairs(images=3, each=3), open_counted)
    assert opened == ["image0", "image1", "image2"]
    assert pairs[0].pixels is pairs[1].pixels
