"""Every kind of corruption on what each family's own processor makes of a picture, as a recipe would ask for it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from sena.engines.looks import Looks, demand
from sena.images import layout
from sena.images.kinds import KINDS
from sena.models import encode
from sena.models.load import load_without_weights
from sena.models.vlm import VLM
from sena.records import Corruption, Request
from tests.families.tiny import TINY

SHAPES = [(96, 60), (40, 110), (64, 64), (300, 70)]


@pytest.fixture(scope="module", params=list(TINY))
def eye(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> VLM:
    """The family's processor as it is loaded from a checkpoint, without weights."""
    made, place = TINY[request.param](), tmp_path_factory.mktemp("family") / "model"
    made.model.config.save_pretrained(place)
    made.processor.save_pretrained(place)
    return load_without_weights(str(place))


def slope(width: int, height: int) -> Image.Image:
    """Red grows from left to right, green from top to bottom."""
    red, green = np.meshgrid(np.linspace(10, 245, width), np.linspace(10, 245, height))
    return Image.fromarray(np.stack([red, green, np.full_like(red, 200)], axis=-1).round().astype(np.uint8))


@pytest.mark.parametrize("shape", SHAPES)
def test_planes_are_the_picture_put_together(eye: VLM, shape: tuple[int, int]) -> None:
    """Red grows along every row and green down every column, but for borders that a family adds, and resampling."""
    seen = encode.process(eye, slope(*shape))
    pixels = seen.tensors["pixel_values"]
    planes = layout.planes(seen.tensors, eye.processor.image_processor, shape)
    assert planes
    again = pixels.clone().contiguous()
    for plane in planes:
        red, green, _ = picture = layout.read(pixels, plane)
        grows = red.diff(dim=1) > -0.15, green.diff(dim=0) > -0.15
        assert all(share.float().mean() > (0.9 if eye.family == "llava" else 0.9999) for share in grows)
        layout.write(again, plane, picture)
    assert torch.equal(again, pixels)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_flip_of_the_tensors_is_the_flipped_picture(eye: VLM, shape: tuple[int, int]) -> None:
    picture = slope(*shape)
    flipped = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    request = Request("r", "What?", "a", corruption=Corruption("flip", 1, 0))
    spoiled = Looks().at(eye, request, lambda _: picture)
    assert spoiled is not None
    wanted = encode.process(eye, flipped).tensors["pixel_values"]
    assert (spoiled.tensors["pixel_values"] - wanted).abs().mean() < 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_allowed_and_does_something(eye: VLM, kind: str) -> None:
    demand(eye, kind, KINDS[kind].usual)
    if kind == "no_image":
        return
    clean = encode.process(eye, slope(96, 60)).tensors["pixel_values"]
    request = Request("r", "What?", "a", corruption=Corruption(kind, KINDS[kind].usual, 3))
    spoiled = Looks().at(eye, request, lambda _: slope(96, 60))
    assert spoiled is not None
    same = torch.equal(spoiled.tensors["pixel_values"], clean)
    assert same == (kind in ("none", "other_image"))
