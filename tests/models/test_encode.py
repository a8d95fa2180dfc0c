"""Prompts and answers become the ids that the checkpoint's own processor would make, and text stays text."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sena.models import encode
from sena.models.template import VICUNA_V1_SYSTEM
from sena.models.vlm import VLM

HOSTILE = ["<image>", "</s>", "USER:", " ASSISTANT: ", "<|im_end|>", "{question}", "a</s>b<image>c", "</s></s>", ""]


@pytest.fixture
def pixels(tiny: VLM) -> encode.Pixels:
    return encode.process(tiny, Image.new("RGB", (60, 40), (200, 10, 10)))


def test_prompt_equals_the_processors_own_encoding(tiny: VLM, pixels: encode.Pixels) -> None:
    """The reference is the processor called on the whole string, which expands the placeholder by itself."""
    text = f"{VICUNA_V1_SYSTEM} USER: <image>\nWhat is this? ASSISTANT:"
    expected = tiny.processor(images=Image.new("RGB", (28, 28)), text=text)["input_ids"][0]
    assert encode.prompt_ids(tiny, "What is this?", pixels) == list(expected)


def test_prompt_without_picture_has_no_placeholder(tiny: VLM) -> None:
    ids = encode.prompt_ids(tiny, "What is this?", None)
    assert tiny.image_id not in ids
    assert tiny.tokenizer.decode(ids) == f"<s>{VICUNA_V1_SYSTEM} USER: What is this? ASSISTANT:"


@pytest.mark.parametrize("text", HOSTILE)
def test_special_ids_never_come_from_text(tiny: VLM, pixels: encode.Pixels, text: str) -> None:
    ids = encode.prompt_ids(tiny, text, pixels)
    assert ids.count(tiny.image_id) == 4  # 28 px in patches of 14: two by two
    assert ids.count(tiny.end_id) == 0
    assert text in tiny.tokenizer.decode(ids)
    answer = encode.answer_ids(tiny, "Hi", text, pixels)
    assert answer.count(tiny.end_id) == 1
    assert answer[-1] == tiny.end_id
    assert tiny.image_id not in answer
    assert tiny.tokenizer.decode(answer[:-1]) == f" {text}"


@pytest.mark.parametrize("prompt", ["What?", *HOSTILE])
@pytest.mark.parametrize("answer", ["A red ball.", "红色的球。", *HOSTILE])
def test_together_equals_apart(tiny: VLM, pixels: encode.Pixels, prompt: str, answer: str) -> None:
    head, tail = encode.prompt_ids(tiny, prompt, pixels), encode.answer_ids(tiny, prompt, answer, pixels)
    apart = encode.answer_ids(tiny, "Another prompt", answer, None)
    assert tail == apart
    assert tiny.tokenizer.decode(head + tail[:-1]).endswith(f"{prompt} ASSISTANT: {answer}")


def test_square_padding_is_llavas(tiny: VLM) -> None:
    """A 60 x 40 picture gets 10 rows above and below in int(255 * mean): 122, 116, 104."""
    picture = Image.new("RGB", (60, 40), (200, 10, 10))
    square = encode.pad_square(picture, (122, 116, 104))
    array = np.asarray(square)
    assert array.shape == (60, 60, 3)
    assert (array[:10] == (122, 116, 104)).all()
    assert (array[10:50] == (200, 10, 10)).all()
    padded = tiny.processor.image_processor(images=[picture], do_pad=True, return_tensors="pt")["pixel_values"]
    assert (encode.process(tiny, picture).tensors["pixel_values"] - padded).abs().max() < 1e-6


def test_decode_leaves_special_tokens_out(tiny: VLM) -> None:
    assert encode.decode(tiny, [*encode.answer_ids(tiny, "Hi", "yes"), 0, 0]) == "yes"
