"""Looks as picture files, for engines that take pictures alone.

Where a model sees a picture as one whole, what its processor made is turned back into a picture: of the model's own
size, spoiled by the very draws that the local engine spoils with, and small. The same processor then makes of it what
the local engine shows, but for values that no picture can hold (`docs/corruptions.md`, "Pictures and tensors").
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image

from sena.engines.base import OpenImage
from sena.engines.looks import Look, Looks, colours
from sena.images import layout
from sena.images.corrupt import CLIP_MEAN, CLIP_STD, corrupt_picture
from sena.models.vlm import VLM
from sena.records import Request


@dataclass(slots=True)
class Seen:
    """Looks as data URLs, each made once and kept until they are cleared. `vlm` needs no weights."""

    vlm: VLM
    _looks: Looks = field(default_factory=Looks)
    _urls: dict[Look, str] = field(default_factory=dict)

    def url(self, request: Request, open_image: OpenImage) -> str | None:
        """The request's look as a PNG in a data URL; None for a request without a picture."""
        if request.image is None:
            return None
        look = (request.image, request.corruption)
        if look not in self._urls:
            self._urls[look] = "data:image/png;base64," + base64.b64encode(self.png(request, open_image)).decode()
        return self._urls[look]

    def png(self, request: Request, open_image: OpenImage) -> bytes:
        """The look of a request with a picture, as a PNG file."""
        assert request.image is not None
        data = io.BytesIO()
        self.picture(request, request.image, open_image).save(data, "PNG", compress_level=1)
        return data.getvalue()

    def picture(self, request: Request, image: str, open_image: OpenImage) -> Image.Image:
        """The look as an RGB picture.

        A model that sees a picture twice (small and in tiles) gets the whole one as it is and makes both of it, and of
        a spoiled one what the tiles hold. Where it is not known how a model sees, a whole picture goes as it is, and a
        spoiled one at its own size.
        """
        processor = self.vlm.processor.image_processor
        pixels = self._looks.at(self.vlm, request, open_image)
        assert pixels is not None
        original = open_image(image)
        planes, normal = layout.planes(pixels.tensors, processor, original.size), colours(processor)
        if request.corruption is None and len(planes) != 1:
            return original
        if not planes or normal is None:
            mean, std = (normal.mean, normal.std) if normal else (CLIP_MEAN, CLIP_STD)
            return corrupt_picture(original, request.corruption, mean, std) if request.corruption else original
        return _as_picture(normal.real(layout.read(pixels.tensors["pixel_values"], max(planes, key=torch.numel))))

    def clear(self) -> None:
        self._looks.clear()
        self._urls.clear()


def _as_picture(colours: torch.Tensor) -> Image.Image:
    """The picture nearest to colours [3, H, W] from 0 to 1."""
    whole = (colours.clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(np.ascontiguousarray(whole.permute(1, 2, 0).numpy()))
