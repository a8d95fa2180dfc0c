"""Every kind of corruption on a real processor's tensors, and what the engine makes of a request without a picture."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from sena.engines.local import LocalEngine
from sena.engines.looks import Looks
from sena.images.corrupt import corrupt
from sena.images.kinds import KINDS
from sena.images.plane import Colours
from sena.models import encode
from sena.models.vlm import VLM
from sena.records import Corruption, Request


def open_image(name: str) -> Image.Image:
    return Image.radial_gradient("L").convert("RGB").resize((40, 30))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "no_image"])
def test_a_look_is_the_processed_picture_spoiled(tiny: VLM, kind: str) -> None:
    corruption = Corruption(kind, KINDS[kind].usual, 3)
    look = Looks().at(tiny, Request("r", "What?", "a", corruption=corruption), open_image)
    clean = encode.process(tiny, open_image("a")).tensors["pixel_values"]
    processor = tiny.processor.image_processor
    assert look is not None
    assert look.tensors["pixel_values"].shape == clean.shape
    wanted = corrupt(clean, corruption, Colours(processor.image_mean, processor.image_std))
    assert torch.equal(look.tensors["pixel_values"], wanted)


def test_no_image_is_asked_as_text_alone(tiny: VLM) -> None:
    engine = LocalEngine(tiny, batch=4)
    spoiled = Corruption("no_image", 0, 3)
    blind = Request("blind", "What is it?", None, max_new_tokens=6, corruption=spoiled)
    text = Request("text", "What is it?", None, max_new_tokens=6)
    first, second = engine.generate([blind, text], open_image)
    assert (first.text, first.tokens) == (second.text, second.tokens)
