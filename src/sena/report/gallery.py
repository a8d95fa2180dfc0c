"""The pairs that the page shows: which ones, and their pictures."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from pathlib import Path
from typing import Protocol, TypeVar

from PIL import Image as PIL

from sena import files
from sena.errors import ImageError, SenaError
from sena.images.kinds import shown
from sena.records import Corruption, Pair
from sena.report.differ import clip
from sena.seeds import derive

OpenImage = Callable[[str], PIL.Image]
SIDE = 240  # of a thumbnail; small pictures are shown as they are
TINY = 96
MOST_REASON = 200
LEFT_OUT = "left out, to keep this page small"


@dataclass(frozen=True, slots=True)
class Look:
    """How the model sees a picture: per-channel mean and spread for pixels in 0 to 1, and the side of its square.

    `pads` says how a picture becomes square: with bars of the mean colour, or else stretched.
    """

    mean: Sequence[float]
    std: Sequence[float]
    size: int
    pads: bool = True


@dataclass(frozen=True, slots=True)
class Picture:
    """A data URI, or the path of a file beside the page, or the reason why there is none. `key` is its own name."""

    key: str = ""
    uri: str = ""
    reason: str = ""
    side: int = 0


@dataclass
class Pictures:
    """Makes thumbnails, each once, until `left` bytes of data URIs are spent; the rest goes to files in the folder
    `aside`, where there is one. Never raises over a picture."""

    open_image: OpenImage | None
    look: Look | None
    left: int
    aside: Path | None = None
    made: dict[str, Picture] = field(default_factory=dict)

    def clean(self, image_id: str) -> Picture:
        return self._keep(image_id, _small, image_id)

    def spoiled(self, pair: Pair, images: Sequence[str] = ()) -> Picture:
        """The picture as the model saw it when it wrote the rejected answer. `images` are the round's ids, sorted."""
        if not pair.corruption:
            return self._none("not spoiled")
        if pair.corruption == "no_image":
            return self._none("asked without a picture")
        look = self.look
        if look is None:
            return self._none("how the model sees pictures is not known here")
        corruption = Corruption(pair.corruption, pair.strength, pair.corruption_seed)
        try:
            image_id = shown(pair.image_id, corruption, images) or pair.image_id
        except SenaError as error:
            return self._none(f"the picture cannot be shown: {error}")
        key = f"{image_id} {pair.corruption} {pair.strength:g} {pair.corruption_seed}"
        return self._keep(key, lambda picture: _spoil(picture, corruption, look), image_id)

    def _none(self, reason: str) -> Picture:
        return self.made.setdefault(reason, Picture(reason, reason=reason))

    def _keep(self, key: str, make: Callable[[PIL.Image], PIL.Image], image_id: str) -> Picture:
        if key not in self.made:
            self.made[key] = self._make(key, make, image_id)
        return self.made[key]

    def _make(self, key: str, make: Callable[[PIL.Image], PIL.Image], image_id: str) -> Picture:
        if self.open_image is None:
            return Picture(key, reason="pictures were not at hand when this page was written")
        try:
            picture = make(self.open_image(image_id))
        except (ImageError, SenaError, OSError, KeyError, ValueError, TypeError) as error:
            return Picture(key, reason=clip(f"the picture cannot be shown: {error}", MOST_REASON))
        data, kind = _encode(picture)
        uri = self._inside(data, kind) or self._beside(key, data, kind)
        return Picture(key, uri, side=max(picture.size)) if uri else Picture(key, reason=LEFT_OUT)

    def _inside(self, data: bytes, kind: str) -> str:
        """A data URI while there is room for it, else nothing."""
        uri = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        if len(uri) > self.left:
            return ""
        self.left -= len(uri)
        return uri

    def _beside(self, key: str, data: bytes, kind: str) -> str:
        """The path, seen from the page, of a file in `aside`; nothing without such a folder."""
        if self.aside is None:
            return ""
        name = f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.{kind}"
        if not (self.aside / name).is_file():
            files.write_bytes(self.aside / name, data)
        return f"{self.aside.name}/{name}"


def _small(picture: PIL.Image) -> PIL.Image:
    small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    return small


def _spoil(picture: PIL.Image, corruption: Corruption, look: Look) -> PIL.Image:
    """Made square as the family does it and brought to the model's size, then spoiled."""
    from sena.images.corrupt import corrupt_picture  # loads torch

    picture = picture.convert("RGB")
    if not look.pads:
        return corrupt_picture(picture, corruption, look.mean, look.std, (look.size, look.size))
    side = max(picture.size)
    square = PIL.new("RGB", (side, side), tuple(int(part * 255) for part in look.mean))  # type: ignore[arg-type]
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return corrupt_picture(square, corruption, look.mean, look.std, (look.size, look.size))


def _encode(picture: PIL.Image) -> tuple[bytes, str]:
    """PNG for what is tiny, where JPEG would smear; JPEG for the rest."""
    buffer = io.BytesIO()
    if max(picture.size) <= TINY:
        picture.save(buffer, "PNG", optimize=True)
        return buffer.getvalue(), "png"
    picture.thumbnail((SIDE, SIDE))
    picture.save(buffer, "JPEG", quality=72, optimize=True)
    return buffer.getvalue(), "jpeg"


class Keyed(Protocol):
    """What is needed of a pair to choose it."""

    @property
    def id(self) -> str: ...
    @property
    def image_id(self) -> str: ...
    @property
    def kind(self) -> str: ...


KeyedPair = TypeVar("KeyedPair", bound=Keyed)


def sample(pairs: Sequence[KeyedPair], most: int, seed: object) -> list[KeyedPair]:
    """At most `most` pairs, seeded, taken from each kind in turn, and from one picture only once while others last."""
    ordered = sorted(pairs, key=lambda pair: derive("gallery", str(seed), pair.id))
    fresh, again, seen = [], [], set()
    for pair in ordered:
        (again if (pair.image_id, pair.kind) in seen else fresh).append(pair)
        seen.add((pair.image_id, pair.kind))
    kinds: dict[str, list[KeyedPair]] = {}
    for pair in fresh + again:
        kinds.setdefault(pair.kind, []).append(pair)
    turns = zip_longest(*(kinds[kind] for kind in sorted(kinds)))
    return [pair for pair in chain.from_iterable(turns) if pair is not None][:most]
