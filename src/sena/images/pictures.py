"""The pictures of a run, by image id: read from their sources when needed, and only if they are still the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Set
from typing import cast

from PIL import Image as PIL

from sena.errors import ImageError, SenaError
from sena.images.config import LimitsConfig
from sena.images.decode import decode
from sena.images.sources import Source
from sena.records import Image


class Pictures:
    """Decoded pictures behind a small memory, whose size is counted in pixels since pictures differ a thousandfold.

    One per worker: it is not made for several threads at once.
    """

    def __init__(
        self,
        images: Iterable[Image] | Mapping[str, Image],
        sources: Mapping[str, Source],
        limits: LimitsConfig = LimitsConfig(),
        keep_pixels: int = 32_000_000,
    ) -> None:
        """`images` may be a mapping from their ids, which is then asked for those that are wanted only.

        Raises SenaError when an image was drawn from a source that is not among `sources`; for a mapping, whoever
        brings it looks with `demand_sources`.
        """
        is_known = isinstance(images, Mapping)
        known = images if is_known else {image.id: image for image in images}
        self._images = cast("Mapping[str, Image]", known)
        self._sources = dict(sources)
        self._limits = limits
        self._keep_pixels = keep_pixels
        self._kept: dict[str, PIL.Image] = {}  # the longest unused first
        self._held = 0
        if not is_known:
            demand_sources({image.source for image in self._images.values()}, sources)

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._images

    def open(self, image_id: str) -> PIL.Image:
        """The picture as RGB, a copy that the caller may change.

        Raises KeyError for an id that this run did not draw, ImageError as `Source.read` and `decode` do, and
        `changed since it was drawn` when the file's content is another.
        """
        picture = self._kept.pop(image_id, None)
        if picture is None:
            picture = decode(self.read(image_id), self._limits)
            self._held += _room(picture)
        self._kept[image_id] = picture
        self._forget()
        return picture.copy()

    def read(self, image_id: str) -> bytes:
        """The picture's file, undecoded. Raises as `open` does, but for what is wrong inside of the file."""
        image = self._images[image_id]
        data = self._sources[image.source].read(image.path)
        if hashlib.sha256(data).hexdigest() != image.sha256:
            raise ImageError("changed since it was drawn", f"{image.source}: {image.path}")
        return data

    def _forget(self) -> None:
        """Let go of the longest unused until the rest fits."""
        while self._held > self._keep_pixels:
            self._held -= _room(self._kept.pop(next(iter(self._kept))))


def _room(picture: PIL.Image) -> int:
    return picture.width * picture.height


def demand_sources(drawn_from: Set[str], sources: Mapping[str, Source]) -> None:
    """Raises SenaError when pictures were drawn from a source that is no longer there."""
    lost = drawn_from - sources.keys()
    if lost:
        raise SenaError(f"Pictures were drawn from {min(lost)}, which images.sources lacks: name it again")
