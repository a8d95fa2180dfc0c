"""What the prompts of a window look at: pictures, processed and perhaps spoiled, each made once."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from PIL import Image

from sena.engines.base import OpenImage
from sena.images import layout
from sena.images.corrupt import corrupt
from sena.images.plane import Colours
from sena.models import encode
from sena.models.vlm import VLM
from sena.records import Corruption, Request

HAIR = 1e-3
"""Of a normalised picture, whose 256 steps are at least four times as long."""
Look = tuple[str, Corruption | None]
"""A picture by its id, and how it is spoiled."""


@dataclass(slots=True)
class Looks:
    """Processed pictures by look; kept until they are cleared, since an id may later mean another picture."""

    _kept: dict[Look, encode.Pixels] = field(default_factory=dict)
    _sizes: dict[str, tuple[int, int]] = field(default_factory=dict)

    def at(self, vlm: VLM, request: Request, open_image: OpenImage) -> encode.Pixels | None:
        """The request's picture as the model takes it, or None for a request without one."""
        if request.image is None:
            return None
        look = (request.image, request.corruption)
        if look not in self._kept:
            clean = self._clean(vlm, request.image, open_image)
            spoiled = _spoil(vlm, clean, request.corruption, self._sizes[request.image])
            self._kept[look] = spoiled
        return self._kept[look]

    def _clean(self, vlm: VLM, image: str, open_image: OpenImage) -> encode.Pixels:
        if (image, None) not in self._kept:
            picture = open_image(image)
            self._sizes[image] = picture.size
            self._kept[image, None] = encode.process(vlm, picture)
        return self._kept[image, None]

    def clear(self) -> None:
        self._kept.clear()
        self._sizes.clear()


def demand(vlm: VLM, kind: str, strength: float) -> None:
    """Try a corruption on a grey picture, which needs no weights. Raises SenaError with the mend when the model's input
    cannot be spoiled so: before a run begins, since it does not depend on the picture."""
    if kind != "no_image":
        grey = Image.new("RGB", (640, 480), (128, 128, 128))
        _spoil(vlm, encode.process(vlm, grey), Corruption(kind, strength, 0), grey.size)


def _spoil(vlm: VLM, clean: encode.Pixels, corruption: Corruption | None, size: tuple[int, int]) -> encode.Pixels:
    """`size` is the picture's own: some processors choose their tiles by it."""
    if corruption is None:
        return clean
    processor = vlm.processor.image_processor
    planes = layout.planes(clean.tensors, processor, size)
    spoiled = corrupt(clean.tensors["pixel_values"], corruption, colours(processor), planes)
    return encode.Pixels({**clean.tensors, "pixel_values": _without_empty_tiles(spoiled)}, clean.text)


def _without_empty_tiles(pixels: torch.Tensor) -> torch.Tensor:
    """Idefics3 and SmolVLM take a tile [1, T, 3, h, w] of zeros, which a mask may leave, for padding, and leave it out,
    but not its placeholders. So one value of it is moved by a hair."""
    if pixels.ndim != 5 or not (empty := pixels.flatten(2).eq(0).all(-1)).any():
        return pixels
    moved = pixels.clone()
    moved[..., 0, 0, 0][empty] = HAIR
    return moved


def colours(processor: object) -> Colours | None:
    """How an image processor normalises; None from one that does not tell."""
    if getattr(processor, "do_normalize", True) is False:
        return Colours((0, 0, 0), (1, 1, 1))
    mean, std = getattr(processor, "image_mean", None), getattr(processor, "image_std", None)
    return Colours(mean, std) if mean and std else None
