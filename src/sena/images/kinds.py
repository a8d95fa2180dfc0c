"""The ways to spoil a picture by name, and what may be said of each without loading torch.

`spoil.py` and `corrupt.py` do it; `docs/corruptions.md` tells people.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sena.errors import SenaError
from sena.records import Corruption

CorruptionKind = Literal[
    "diffusion",
    "none",
    "blur",
    "low_resolution",
    "crop",
    "flip",
    "patch_shuffle",
    "mask",
    "colour_jitter",
    "moco",
    "no_image",
    "other_image",
]


@dataclass(frozen=True, slots=True)
class Kind:
    """What the strength of a kind means: its unit, its range (both ends in it), and the usual one.

    A kind without a unit has no strength; it is written 0. The higher a strength, the less of the picture is left.
    """

    unit: str = ""
    low: float = 0
    high: float = 0
    usual: float = 0
    whole: bool = False
    ladder: tuple[float, ...] = (0,)
    """The strengths that `sena sweep` tries, weak to strong."""

    @property
    def range(self) -> str:
        """As people read it."""
        if not self.unit:
            return "none"
        return f"{'whole numbers, ' if self.whole else ''}{self.low:g} to {self.high:g}"


KINDS: dict[str, Kind] = {
    "diffusion": Kind("diffusion step, counted from 0", 0, 999, 600, True, (200, 300, 400, 500, 600, 700, 800, 999)),
    "none": Kind(),
    "blur": Kind("spread of the blur in percent of the longer side", 0, 20, 4, ladder=(1, 2, 4, 8, 16)),
    "low_resolution": Kind("how many times fewer pixels a side has", 1, 64, 4, ladder=(2, 4, 8, 16, 32)),
    "crop": Kind("share of the area that is cut away", 0, 0.99, 0.25, ladder=(0.25, 0.5, 0.75, 0.9, 0.97)),
    "flip": Kind("1 left for right, 2 also upside down", 0, 2, 1, True, (1, 2)),
    "patch_shuffle": Kind("patches a side", 1, 64, 2, True, (2, 3, 4, 8, 16)),
    "mask": Kind("share of the area that is painted over", 0, 1, 0.5, ladder=(0.1, 0.25, 0.5, 0.75, 0.9)),
    "colour_jitter": Kind("largest change, as a share of the value", 0, 1, 0.8, ladder=(0.2, 0.4, 0.8, 1)),
    "moco": Kind("share of the augmentation of MoCo v2", 0, 1, 1, ladder=(0.25, 0.5, 1)),
    "no_image": Kind(),
    "other_image": Kind(),
}


def fault(kind: str, strength: float) -> str | None:
    """Why a known kind cannot have this strength, with the mend; None when it can."""
    known = KINDS[kind]
    in_range = known.low <= strength <= known.high
    if in_range and (not known.whole or strength == int(strength)):
        return None
    if not known.unit:
        return f"{kind} has no strength, so {strength:g} means nothing: leave it out, or write null"
    return (
        f"{strength:g} is no strength of {kind}, which takes {known.range} ({known.unit}): "
        f"write such a one beside the kind, or null for the usual {known.usual:g}"
    )


def told(kind: str, strength: float) -> str:
    """Kind and strength as reports write them; of a kind that has no strength the name alone."""
    return kind if kind in KINDS and not KINDS[kind].unit else f"{kind} {strength:g}"


def shown(image: str, corruption: Corruption, images: Sequence[str]) -> str | None:
    """The id of the picture that a request about `image` shows under a corruption; None when it shows none.

    `images` are the ids of the round, sorted; only `other_image` looks at them, and raises SenaError if there is none.
    """
    if corruption.kind == "no_image":
        return None
    if corruption.kind != "other_image":
        return image
    place = bisect_left(images, image)
    is_there = place < len(images) and images[place] == image
    others = len(images) - is_there
    if others < 1:
        raise SenaError("other_image needs a second picture in the round: give more, or choose another corruption.kind")
    index = corruption.seed % others
    return images[index + 1 if is_there and index >= place else index]
