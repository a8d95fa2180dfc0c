"""What the prompts of a window look at: pictures, processed and perhaps spoiled, each made once."""

from __future__ import annotations

from dataclasses import dataclass, field

from sena.engines.base import OpenImage
from sena.images.corrupt import corrupt
from sena.images.plane import Colours
from sena.models import encode
from sena.models.vlm import VLM
from sena.records import Corruption, Request

Look = tuple[str, Corruption | None]
"""A picture by its id, and how it is spoiled."""


@dataclass(slots=True)
class Looks:
    """Processed pictures by look; kept until they are cleared, since an id may later mean another picture."""

    _kept: dict[Look, encode.Pixels] = field(default_factory=dict)

    def at(self, vlm: VLM, request: Request, open_image: OpenImage) -> encode.Pixels | None:
        """The request's picture as the model takes it, or None for a request without one."""
        if request.image is None:
            return None
        look = (request.image, request.corruption)
        if look not in self._kept:
            clean = self._kept.get((request.image, None))
            if clean is None:
                clean = encode.process(vlm, open_image(request.image))
                self._kept[request.image, None] = clean
            if request.corruption is not None:
                spoiled = corrupt(clean.tensors["pixel_values"], request.corruption, _colours(vlm))
                clean = encode.Pixels({**clean.tensors, "pixel_values": spoiled}, clean.text)
            self._kept[look] = clean
        return self._kept[look]

    def clear(self) -> None:
        self._kept.clear()


def _colours(vlm: VLM) -> Colours | None:
    """How the model's processor normalises; None from one that does not tell."""
    processor = vlm.processor.image_processor
    mean, std = getattr(processor, "image_mean", None), getattr(processor, "image_std", None)
    return Colours(mean, std) if mean and std else None
