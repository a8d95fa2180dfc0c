"""The picture folders of the LLaVA-665K mix: its annotation file says which files belong to it, one source a folder.

Only the picture paths are taken; questions and answers of the file are never looked at.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from sena.errors import SenaError
from sena.images.sources import MAX_BYTES, Skipped, is_text, read_below, real_folder


class _Record(NamedTuple):
    """All that is kept of a JSON object while the file is parsed (1 GB of it; the turns would cost several more)."""

    image: Any


@dataclass(frozen=True, slots=True)
class Llava665kSource:
    """The files of one prefix folder (coco, gqa, ...). Paths are relative to it; `root` is its real place."""

    name: str
    root: str
    paths: tuple[str, ...]
    left_out: tuple[Skipped, ...] = ()
    max_bytes: int = MAX_BYTES

    def list(self) -> Sequence[str]:
        """Sorted relative paths, each once."""
        return self.paths

    def unlisted(self) -> Sequence[Skipped]:
        """What the annotation file names and this source refuses."""
        return self.left_out

    def read(self, path: str) -> bytes:
        """See `sources.read_below`."""
        return read_below(self.root, path, self.max_bytes)


def llava665k_sources(
    name: str, annotations: str | Path, root: str | Path = "", max_bytes: int = MAX_BYTES
) -> list[Llava665kSource]:
    """One source per prefix folder, called `name/prefix`; an empty `root` means the annotation file's own folder.

    A prefix folder may be a link (data sets often lie on another disk): its target is then the root that no path of
    it may leave. Absolute paths and paths with `..` are refused, and a prefix folder that is not there is left out;
    both are told by the first source's `unlisted`. Raises SenaError when the file cannot be used or nothing is left.
    """
    annotations = Path(annotations).expanduser()
    base = real_folder(root or annotations.parent)
    groups, left_out = _grouped(name, _images(annotations))
    ready: list[tuple[str, str, list[str]]] = []
    for prefix, paths in sorted(groups.items()):
        folder = os.path.join(base, prefix)
        if os.path.isdir(folder):
            ready.append((f"{name}/{prefix}".rstrip("/"), os.path.realpath(folder), sorted(paths)))
        else:
            left_out.append(Skipped(name, prefix, "missing", f"folder of {len(paths)} pictures"))
    if not ready:
        wanted = ", ".join(sorted(groups)) or "no picture at all"
        raise SenaError(f"{annotations} names {wanted}, and {base} has none of it: set the source's root")
    return [
        Llava665kSource(source, folder, tuple(paths), tuple(left_out) if number == 0 else (), max_bytes)
        for number, (source, folder, paths) in enumerate(ready)
    ]


def _grouped(name: str, images: Sequence[str]) -> tuple[dict[str, list[str]], list[Skipped]]:
    """Unique paths by their first folder, relative to it; and those that are refused."""
    groups: dict[str, list[str]] = defaultdict(list)
    left_out: list[Skipped] = []
    for image in dict.fromkeys(PurePosixPath(image) for image in images):
        if not is_text(str(image)):
            left_out.append(Skipped(name, ascii(str(image)), "name is not text"))
        elif image.is_absolute() or ".." in image.parts:
            left_out.append(Skipped(name, str(image), "outside its root"))
        elif len(image.parts) == 1:
            groups[""].append(str(image))
        else:
            groups[image.parts[0]].append(str(PurePosixPath(*image.parts[1:])))
    return groups, left_out


def _images(annotations: Path) -> list[str]:
    """The `image` of every record that has one, in file order."""
    records = _load(annotations)
    if not isinstance(records, list):
        raise SenaError(f"{annotations} is no list of records: name the LLaVA-665K annotation file")
    images: list[str] = []
    for number, record in enumerate(records, start=1):
        if not isinstance(record, _Record) or not isinstance(record.image, str | None):
            raise SenaError(f"{annotations}, record {number}: a record needs an `image` that is one path, or none")
        if record.image:
            images.append(record.image)
    return images


def _load(annotations: Path) -> Any:
    try:
        with open(annotations, encoding="utf-8") as handle:
            return json.load(handle, object_hook=lambda fields: _Record(fields.get("image")))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise SenaError(f"{annotations} is not valid JSON ({where}: {error.msg}): download it again") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise SenaError(f"{annotations} is not a JSON text: download it again") from error
    except OSError as error:
        raise SenaError(f"{annotations} cannot be read ({error.strerror}): check the source's path") from error
