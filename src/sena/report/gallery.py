"""The pairs that the page shows: which ones, their pictures, and where chosen and rejected differ."""

from __future__ import annotations

import base64
import difflib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest

from PIL import Image as PIL

from sena.errors import ImageError, SenaError
from sena.images.kinds import shown
from sena.records import Corruption, Pair, Row
from sena.report.read import RoundData
from sena.seeds import derive
from sena.text import printable, unspaced

OpenImage = Callable[[str], PIL.Image]
SIDE = 240  # of a thumbnail; small pictures are shown as they are
MOST_WORDS = 600  # comparing is quadratic
MOST_CHARACTERS = 2000
_WORDS = re.compile(r"\s+|[^\W_]+|.", re.DOTALL)


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
    """A data URI, or the reason why there is none."""

    uri: str = ""
    reason: str = ""
    side: int = 0


@dataclass(frozen=True, slots=True)
class Card:
    """One pair with everything that the page says about it. `chosen` and `rejected` are (differs, text) pieces."""

    pair: Pair
    row: Row | None
    clean: Picture
    spoiled: Picture
    chosen: list[tuple[bool, str]]
    rejected: list[tuple[bool, str]]
    scores: tuple[float, float] | None


@dataclass
class Pictures:
    """Makes thumbnails, each once, until `left` bytes of data URIs are spent. Never raises over a picture."""

    open_image: OpenImage | None
    look: Look | None
    left: int
    _made: dict[tuple[object, ...], Picture] = field(default_factory=dict)

    def clean(self, image_id: str) -> Picture:
        return self._keep((image_id,), lambda picture: _small(picture), image_id)

    def spoiled(self, pair: Pair, images: Sequence[str] = ()) -> Picture:
        """The picture as the model saw it when it wrote the rejected answer. `images` are the round's ids, sorted."""
        if not pair.corruption:
            return Picture(reason="not spoiled")
        if pair.corruption == "no_image":
            return Picture(reason="asked without a picture")
        look = self.look
        if look is None:
            return Picture(reason="how the model sees pictures is not known here")
        corruption = Corruption(pair.corruption, pair.strength, pair.corruption_seed)
        try:
            image_id = shown(pair.image_id, corruption, images) or pair.image_id
        except SenaError as error:
            return Picture(reason=f"the picture cannot be shown: {error}")
        key = (image_id, pair.corruption, pair.strength, pair.corruption_seed)
        return self._keep(key, lambda picture: _spoil(picture, corruption, look), image_id)

    def _keep(self, key: tuple[object, ...], make: Callable[[PIL.Image], PIL.Image], image_id: str) -> Picture:
        if key not in self._made:
            self._made[key] = self._make(make, image_id)
        return self._made[key]

    def _make(self, make: Callable[[PIL.Image], PIL.Image], image_id: str) -> Picture:
        if self.open_image is None:
            return Picture(reason="pictures were not at hand when this page was written")
        try:
            picture = make(self.open_image(image_id))
        except (ImageError, SenaError, OSError, KeyError, ValueError, TypeError) as error:
            return Picture(reason=f"the picture cannot be shown: {error}")
        uri = _data_uri(picture)
        if len(uri) > self.left:
            return Picture(reason="left out, to keep this page small")
        self.left -= len(uri)
        return Picture(uri, side=max(picture.size))


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


def _data_uri(picture: PIL.Image) -> str:
    """PNG for what is tiny, where JPEG would smear; JPEG for the rest."""
    tiny = max(picture.size) <= 96
    buffer = io.BytesIO()
    if tiny:
        picture.save(buffer, "PNG", optimize=True)
    else:
        picture.save(buffer, "JPEG", quality=72, optimize=True)
    kind = "png" if tiny else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def sample(pairs: Sequence[Pair], most: int, seed: object) -> list[Pair]:
    """At most `most` pairs, seeded, taken from each kind in turn, and from one picture only once while others last."""
    ordered = sorted(pairs, key=lambda pair: derive("gallery", str(seed), pair.id))
    fresh, again, seen = [], [], set()
    for pair in ordered:
        (again if (pair.image_id, pair.kind) in seen else fresh).append(pair)
        seen.add((pair.image_id, pair.kind))
    kinds: dict[str, list[Pair]] = {}
    for pair in fresh + again:
        kinds.setdefault(pair.kind, []).append(pair)
    turns = zip_longest(*(kinds[kind] for kind in sorted(kinds)))
    return [pair for pair in chain.from_iterable(turns) if pair is not None][:most]


def cards(data: RoundData, most: int, pictures: Pictures, reference: Mapping[str, tuple[float, float]]) -> list[Card]:
    """The round's gallery."""
    rows = {row.id: row for row in data.answers}
    images = sorted(image.id for image in data.images)
    made = []
    for pair in sample(data.pairs, most, data.number):
        chosen, rejected = compare(clip(pair.chosen), clip(pair.rejected))
        clean, spoiled = pictures.clean(pair.image_id), pictures.spoiled(pair, images)
        made.append(Card(pair, rows.get(pair.row_id), clean, spoiled, chosen, rejected, reference.get(pair.id)))
    return made


def clip(text: str, most: int = MOST_CHARACTERS) -> str:
    """A text as the page shows it: without control characters, and cut where it would drown the rest."""
    text = printable(text)
    return text if len(text) <= most else f"{text[:most]} … ({len(text) - most} more characters)"


def compare(chosen: str, rejected: str) -> tuple[list[tuple[bool, str]], list[tuple[bool, str]]]:
    """Both texts in pieces, each marked whether it stands in this text only. Very long texts are not compared."""
    left, right = _split(chosen), _split(rejected)
    if max(len(left), len(right)) > MOST_WORDS:
        return [(False, chosen)], [(False, rejected)]
    matcher = difflib.SequenceMatcher(None, [w.casefold() for w in left], [w.casefold() for w in right], autojunk=False)
    kept, gone = [], []
    for tag, from_left, to_left, from_right, to_right in matcher.get_opcodes():
        kept.append((tag != "equal", "".join(left[from_left:to_left])))
        gone.append((tag != "equal", "".join(right[from_right:to_right])))
    return [piece for piece in kept if piece[1]], [piece for piece in gone if piece[1]]


def _split(text: str) -> list[str]:
    """Words, runs of white space and single marks; scripts without spaces character by character."""
    return list(_pieces(text))


def _pieces(text: str) -> Iterator[str]:
    for match in _WORDS.finditer(text):
        if any(unspaced(character) for character in match[0]):
            yield from match[0]
        else:
            yield match[0]
