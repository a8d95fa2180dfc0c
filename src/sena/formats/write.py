"""Pairs into a folder of their own, in the layout of another trainer: whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sena import files
from sena.errors import ImageError, SenaError
from sena.formats import EXPORTS
from sena.formats.example import PLACEHOLDERS, ReadImage
from sena.records import Pair


@dataclass(frozen=True, slots=True)
class Exported:
    """Where the files are, how many pairs they hold, and the ids of those that could not be told in this layout. Of a
    run: which round they are of, and which other rounds have pairs."""

    folder: Path
    pairs: int
    left_out: tuple[str, ...] = ()
    round: int = 0
    others: tuple[int, ...] = ()


def write_pairs(to: str, pairs: Sequence[Pair], read_image: ReadImage, folder: Path) -> Exported:
    """Write `pairs` in the layout `to` into `folder`, which has to be new or empty.

    A pair whose own text holds `<image>` (or `<video>`, `<audio>`) is left out: the other programs would look for
    another picture there. Raises SenaError for an unknown layout, a folder in use, a picture that is gone, a full disk.
    """
    if to not in EXPORTS:
        raise SenaError(f"There is no layout {to!r}: known are {', '.join(EXPORTS)}")
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise SenaError(f"{folder} holds other files: choose an empty or new folder for --out")
    left_out = tuple(pair.id for pair in pairs if _is_ambiguous(pair))
    kept = [pair for pair in pairs if not _is_ambiguous(pair)]
    if not kept:
        raise SenaError("There are no pairs to export: make some with `sena pairs` or `sena evolve` first")
    owner = {pair.image_id: pair.id for pair in kept}

    def read(image_id: str) -> bytes:
        try:
            return read_image(image_id)
        except ImageError as error:
            raise SenaError(
                f"The picture of pair {owner[image_id]} cannot be read ({error}): put it back where it was drawn from"
            ) from error

    try:
        files.make_folder(folder, lambda place: EXPORTS[to].write(kept, read, place))
    finally:
        files.remove_tree(folder.with_name(f".{folder.name}.tmp"))
    return Exported(folder, len(kept), left_out)


def _is_ambiguous(pair: Pair) -> bool:
    return any(mark in text for mark in PLACEHOLDERS for text in (pair.prompt, pair.chosen, pair.rejected))
