"""Whether the miniature is shown a picture of another world than its own, of which it answers nonsense."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from sena.errors import ImageError
from sena.images.config import LimitsConfig
from sena.images.decode import decode
from sena.images.sources import Source
from sena.mini import mini_folder, world
from sena.mini.source import MiniSource

ABOUT = f"The miniature knows pictures of its own world ({world.SIDE} x {world.SIDE} pixels) and no others"


def hint(model: str, pictures: Iterable[tuple[str, Image.Image]]) -> str:
    """One line about the first picture that is none of its world, if `model` (a folder) is the miniature, else nothing.

    A picture of another size is none for certain; one of the same size is taken for one.
    """
    if not is_miniature(model):
        return ""
    strangers = (name for name, picture in pictures if picture.size != (world.SIDE, world.SIDE))
    return next((f"{ABOUT}: what it says of {name} means nothing" for name in strangers), "")


def hint_of(model: str, sources: Iterable[Source]) -> str:
    """The same for a run: the first picture of each source is looked at. One that cannot be opened tells nothing."""
    if not is_miniature(model):
        return ""
    return hint(model, (each for source in sources if not isinstance(source, MiniSource) for each in _first(source)))


def is_miniature(model: str) -> bool:
    """Whether a model's folder holds the miniature's vocabulary, as every round that began from it does."""
    own, other = mini_folder() / "tokenizer.json", Path(model) / "tokenizer.json"
    if not other.is_file() or other.stat().st_size > 2 * own.stat().st_size:  # others have many words, long to read
        return False
    return _words(other) == _words(own)


def _words(file: Path) -> dict[str, int] | None:
    """None for a file that holds none, which is told where the model is loaded."""
    try:
        match json.loads(file.read_text(encoding="utf-8")):
            case {"model": {"vocab": dict(words)}}:
                return words
    except ValueError:
        pass
    return None


def _first(source: Source) -> Iterable[tuple[str, Image.Image]]:
    path = source.list()[0]
    try:
        return [(f"{source.name}: {path}", decode(source.read(path), LimitsConfig()))]
    except ImageError:
        return []
