"""Pictures as they are sent to a server, put through each family's own processor again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from sena.engines.looks import Looks
from sena.engines.seen import Seen
from sena.models import encode
from sena.models.vlm import VLM
from sena.records import Corruption, Request
from tests.families.tiny import TINY

TILED = ("InternVL3", "LLaVA-NeXT", "LLaVA-OneVision", "Idefics3", "SmolVLM")
SIZES = {"wide": (96, 60), "tall": (40, 110), "square": (64, 64)}


@pytest.fixture(scope="module", params=list(TINY))
def vlm(request: pytest.FixtureRequest) -> VLM:
    made = TINY[request.param]()
    return made if isinstance(made, VLM) else VLM(made.model, made.processor, None, request.param)  # type: ignore[arg-type]


def open_image(name: str) -> Image.Image:
    width, height = SIZES[name]
    right, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([right, down, 255 - right], axis=-1).round().astype(np.uint8))


def apart(vlm: VLM, size: str, corruption: Corruption | None) -> torch.Tensor:
    """How far what a server's processor makes of the picture that is sent lies from what the local engine shows."""
    request = Request("r", "What?", size, corruption=corruption)
    look = Looks().at(vlm, request, open_image)
    again = encode.process(vlm, Seen(vlm).picture(request, size, open_image))
    assert look is not None
    assert look.text == again.text
    return (look.tensors["pixel_values"] - again.tensors["pixel_values"]).abs()


@pytest.mark.parametrize("size", SIZES)
def test_a_clean_picture_arrives_as_it_is_shown(vlm: VLM, size: str) -> None:
    assert apart(vlm, size, None).max() < 1e-5


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "corruption", [Corruption("mask", 0.3, 3), Corruption("patch_shuffle", 2, 3)], ids=["mask", "patches"]
)
def test_a_spoiled_picture_arrives_nearly_so(vlm: VLM, size: str, corruption: Corruption) -> None:
    """Where a picture is whole, by rounding alone: half of a 255th is .0077 where the spread is .26, .0039 where it is
    .5. Where it is cut into tiles, these are rounded and the small picture beside them is made anew from them, so that
    edges differ; the look itself lies more than six times as far from the clean one."""
    far, request = apart(vlm, size, corruption), Request("r", "What?", size)
    looks = [Looks().at(vlm, replace(request, corruption=each), open_image) for each in (None, corruption)]
    clean, spoiled = (look.tensors["pixel_values"] for look in looks if look is not None)
    assert far.mean() < (spoiled - clean).abs().mean() / 6
    if vlm.name not in TILED:
        assert far.max() < 0.0077
