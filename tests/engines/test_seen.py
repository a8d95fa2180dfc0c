"""Pictures as they are sent, put through the processor that a server has: what comes of them is what the engine saw."""

from __future__ import annotations

import base64
import io

import pytest
import torch
from PIL import Image

from sena.engines.looks import Looks
from sena.engines.seen import Seen
from sena.images.corrupt import CLIP_MEAN, CLIP_STD, corrupt_picture
from sena.images.kinds import KINDS
from sena.models import encode
from sena.models.vlm import VLM
from sena.records import Corruption, Request

OPENED: list[str] = []


def open_image(name: str) -> Image.Image:
    OPENED.append(name)
    return Image.radial_gradient("L").convert("RGB").resize((90, 60))


def request(corruption: Corruption | None, image: str | None = "a") -> Request:
    return Request("r", "What?", image, corruption=corruption)


def sent(vlm: VLM, corruption: Corruption | None) -> Image.Image:
    url = Seen(vlm).url(request(corruption), open_image)
    assert url is not None
    head, _, data = url.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


def test_a_whole_picture_arrives_as_the_local_engine_shows_it(tiny: VLM) -> None:
    """Values of a picture are whole numbers of 255, and so are those that the processor made: nothing is lost."""
    seen = encode.process(tiny, sent(tiny, None)).tensors["pixel_values"]
    wanted = encode.process(tiny, open_image("a")).tensors["pixel_values"]
    assert (seen - wanted).abs().max() < 1e-5


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"no_image", "other_image"}))
def test_a_spoiled_picture_arrives_spoiled_by_the_same_draws(tiny: VLM, kind: str) -> None:
    """Half a step of 255 is .0075 of CLIP's spread; what no picture holds is cut off at black and white."""
    corruption = Corruption(kind, KINDS[kind].usual, 3)
    seen = encode.process(tiny, sent(tiny, corruption)).tensors["pixel_values"]
    look = Looks().at(tiny, request(corruption), open_image)
    assert look is not None
    mean, std = torch.tensor(CLIP_MEAN).view(3, 1, 1), torch.tensor(CLIP_STD).view(3, 1, 1)
    wanted = look.tensors["pixel_values"].clamp(-mean / std, (1 - mean) / std)
    assert (seen - wanted).abs().max() < 0.0077


def test_a_look_is_made_once_and_none_without_a_picture(tiny: VLM) -> None:
    seen = Seen(tiny)
    OPENED.clear()
    assert seen.url(request(None, None), open_image) is None
    noise = Corruption("diffusion", 600, 3)
    urls = [seen.url(request(each), open_image) for each in (None, noise, None, noise)]
    assert urls[0] is urls[2]
    assert urls[1] is urls[3]
    assert urls[0] != urls[1]
    made = len(OPENED)
    seen.url(request(noise), open_image)
    assert len(OPENED) == made
    seen.clear()
    seen.url(request(noise), open_image)
    assert len(OPENED) > made


def test_where_the_layout_is_not_known_pictures_go_at_their_own_size(
    tiny: VLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sena.images.layout.planes", lambda *args: ())
    noise = Corruption("diffusion", 600, 3)
    assert sent(tiny, None).tobytes() == open_image("a").tobytes()
    processor = tiny.processor.image_processor
    wanted = corrupt_picture(open_image("a"), noise, processor.image_mean, processor.image_std)
    assert sent(tiny, noise).tobytes() == wanted.tobytes()
