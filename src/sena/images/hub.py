"""Data sets of Hugging Face as sources: a name on the hub, or a folder that `save_to_disk` has written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sena.errors import ImageError, SenaError
from sena.images.paths import AT_ONCE, Paths
from sena.images.sources import MAX_BYTES, read_below

COLUMNS = ("image", "images", "jpg", "png", "webp", "img", "picture")
"""Preferred names, where a data set has several columns of pictures."""
MARKS = ("state.json", "dataset_info.json", "dataset_dict.json")
"""Files that `save_to_disk` leaves in a folder."""


class HubSource:
    """Rows of a data set, read when they are asked for and not decoded. Paths are `ROW/NUMBER`, counted from 0."""

    def __init__(
        self, name: str, path: str, split: str = "train", column: str = "", subset: str = "", max_bytes: int = MAX_BYTES
    ) -> None:
        """`path` is a folder or a name on the hub; `column` is found where there is only one of pictures.

        Raises SenaError when it cannot be opened, or the column is not told.
        """
        self.name = name
        self.path = path
        self.max_bytes = max_bytes
        data = _load(path, split, subset)
        self.column = column or _find_column(path, data.features)
        self._several = _demand_pictures(path, data, self.column)
        self._data = data.select_columns([self.column]).with_format("arrow")  # bytes and paths, nothing decoded

    def list(self) -> Sequence[str]:
        """All pictures. Of a column of lists every row is looked at; else every row counts as one."""
        paths = Paths.of(self._paths())
        if not paths:
            raise SenaError(f"{self.path} has no row: name another data set or split")
        return paths

    def read(self, path: str) -> bytes:
        """The picture's file. Raises ImageError: `missing`, `outside its root`, `unreadable` or `too many bytes`."""
        row, _, number = path.partition("/")
        if not (row.isdecimal() and number.isdecimal()) or int(row) >= len(self._data):
            raise ImageError("missing", f"{path} of {self.path}")
        value = self._data[int(row)][self.column][0].as_py()
        pictures = value if isinstance(value, list) else [value]
        picture = (pictures[int(number)] if int(number) < len(pictures) else None) or {}
        data = picture.get("bytes")
        if data is None and picture.get("path"):
            return read_below(_cache(), picture["path"], self.max_bytes)  # the hub's own copies, and nothing else
        if data is None:
            raise ImageError("missing", f"{path} of {self.path} has no bytes")
        if len(data) > self.max_bytes:
            raise ImageError("too many bytes", f"{path} has {len(data)}, the limit is {self.max_bytes}")
        return data

    def _paths(self) -> Iterator[str]:
        if not self._several:
            yield from (f"{row}/0" for row in range(len(self._data)))
            return
        counts = (
            len(each) if each.is_valid else 0 for piece in self._data.iter(AT_ONCE) for each in piece[self.column]
        )
        for row, count in enumerate(counts):
            yield from (f"{row}/{number}" for number in range(count))


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` has written this folder."""
    return any((folder / mark).is_file() for mark in MARKS)


def _load(path: str, split: str, subset: str) -> Any:
    """The split, memory-mapped. Raises SenaError in one sentence for whatever the library says."""
    try:
        import datasets
    except ImportError as error:
        raise SenaError("Data sets of Hugging Face need `datasets`: pip install 'sena[data]'") from error
    from datasets.exceptions import DatasetsError

    folder = Path(path).expanduser()
    if not folder.exists() and (folder.is_absolute() or path.startswith(("~", ".")) or path.count("/") > 1):
        raise SenaError(f"There is no folder {path}: check the spelling, or give a name of the hub as OWNER/NAME")
    try:
        if folder.is_dir() and is_saved(folder):
            return _of_split(path, datasets.load_from_disk(str(folder)), split)
        if folder.is_dir():
            raise SenaError(f"{path} is no folder that save_to_disk has written: give --images the folder itself")
        return datasets.load_dataset(path, subset or None, split=split)
    except (
        DatasetsError,
        OSError,
        ValueError,
        RuntimeError,
    ) as error:  # offline, no such name, no such split, damaged files
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SenaError(
            f"The data set {path} cannot be opened ({why}): check its name, split and subset, and the network"
        ) from error


def _of_split(path: str, data: Any, split: str) -> Any:
    """A saved folder holds one split, or several by name."""
    if not isinstance(data, dict):
        return data
    if split not in data:
        raise SenaError(f"{path} has no split {split}, only {', '.join(sorted(data))}: set the source's split")
    return data[split]


def _is_picture(feature: Any) -> bool:
    from datasets import Image

    return isinstance(feature, Image)


def _inner(feature: Any) -> Any:
    """What a feature of lists holds, or nothing."""
    return feature[0] if isinstance(feature, list) else getattr(feature, "feature", None)


def _find_column(path: str, features: Any) -> str:
    found = [name for name, each in features.items() if _is_picture(each) or _is_picture(_inner(each))]
    preferred = [name for name in COLUMNS if name in found]
    if not found:
        raise SenaError(f"{path} has no column of pictures, only {', '.join(sorted(features))}: name another data set")
    if len(found) > 1 and not preferred:
        raise SenaError(f"{path} has the picture columns {', '.join(found)}: set the source's column to one of them")
    return (preferred or found)[0]


def _demand_pictures(path: str, data: Any, column: str) -> bool:
    """Whether the column holds lists. Raises SenaError when it is missing or holds something else than pictures."""
    if column not in data.features:
        raise SenaError(f"{path} has no column {column}, only {', '.join(sorted(data.features))}: change it")
    feature = data.features[column]
    if not (_is_picture(feature) or _is_picture(_inner(feature))):
        raise SenaError(f"{path}: `{column}` is no column of pictures: cast it to the Image feature of datasets")
    return not _is_picture(feature)


def _cache() -> str:
    """Where the hub's library keeps what it has downloaded."""
    from datasets import config

    return os.path.realpath(str(config.HF_CACHE_HOME))
