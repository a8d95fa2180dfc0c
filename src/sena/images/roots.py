"""Where the folders of an annotation file lie: below one root, at places of the user's own, under several spellings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from sena.images.sources import real_folder

SPELLINGS = (
    ("ocr_vqa", "ocrvqa"),
    ("textvqa", "texvqa"),
    ("coco", "coco2014", "coco2017"),
)
"""Names under which the folders of one data set are met: LLaVA's first, then those on the pages of SENA and SeVa."""


def known_as(name: str) -> str:
    """The first spelling of a data set's name."""
    return next((spellings[0] for spellings in SPELLINGS if name in spellings), name)


@dataclass(frozen=True, slots=True)
class Roots:
    """`base` holds all folders but those that `places` names: the longest beginning of a path counts.

    `places` maps a beginning (`coco`, `vg/VG_100K`) to the folder that stands for it.
    """

    base: str
    places: Mapping[str, str] = field(default_factory=dict)

    def find(self, folder: str) -> str:
        """The real place of an annotation's folder (`coco/train2017`), or an empty text when it is nowhere."""
        return next((os.path.realpath(each) for each in self.candidates(folder) if os.path.isdir(each)), "")

    def candidates(self, folder: str) -> list[str]:
        """Where the folder may lie, the place where it belongs first."""
        mapped = self._mapped(folder)
        if mapped:
            return [mapped]
        first, _, rest = folder.partition("/")
        spellings = next((each for each in SPELLINGS if first in each), (first,))
        names = [first, *(name for name in spellings if name != first)]
        return [os.path.join(self.base, name, rest).rstrip("/") for name in names]

    def _mapped(self, folder: str) -> str:
        """Below the place of the longest beginning that the map knows, under any of its spellings."""
        parts = folder.split("/")
        for length in range(len(parts), 0, -1):
            for key, place in self.places.items():
                if _same(key.strip("/").split("/"), parts[:length]):
                    return os.path.join(os.path.expanduser(place), *parts[length:])
        return ""


def make_roots(base: str, places: Mapping[str, str]) -> Roots:
    """Raises SenaError when the base is no folder."""
    return Roots(real_folder(base), dict(places))


def _same(key: list[str], parts: list[str]) -> bool:
    return key[1:] == parts[1:] and known_as(key[0]) == known_as(parts[0])
