"""The picture folders of the LLaVA-665K mix: its annotation file says which files belong to it, one source a data set.

Only picture paths are kept of the file, and questions only when they are asked for, of the pictures that were drawn.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sena.errors import ImageError, SenaError
from sena.images.json_list import records
from sena.images.paths import Growing, Paths
from sena.images.roots import Roots, known_as, make_roots
from sena.images.sources import MAX_BYTES, Skipped, is_text, read_below

SHOWN = 20
"""Refused paths that are told one by one."""


@dataclass(frozen=True, slots=True)
class Llava665kSource:
    """The files of one data set (coco, gqa, ...). Paths are relative to it; `folders` are the real places of the
    sub-folders that they begin with (an empty name for files that lie in none)."""

    name: str
    group: str
    paths: Paths
    folders: Mapping[str, str]
    annotations: Path
    left_out: tuple[Skipped, ...] = ()
    max_bytes: int = MAX_BYTES

    def list(self) -> Sequence[str]:
        """Sorted relative paths, each once."""
        return self.paths

    def unlisted(self) -> Sequence[Skipped]:
        """What the annotation file names and this source refuses."""
        return self.left_out

    def read(self, path: str) -> bytes:
        """See `sources.read_below`. No path may leave its sub-folder's real place."""
        found, (folder, file) = _placed(path), _split(path)
        if isinstance(found, str) or folder not in self.folders:
            raise ImageError(found if isinstance(found, str) else "missing", path)
        return read_below(self.folders[folder], file, self.max_bytes)

    def place(self, path: str) -> str:
        """Where the file belongs on the disk."""
        folder, file = _split(path)
        return os.path.join(self.folders[folder], file)

    def questions(self, paths: Collection[str]) -> Iterator[tuple[str, str]]:
        """Path and question for every human turn about one of `paths`, in the order of the file."""
        for number, record in enumerate(records(self.annotations), start=1):
            found = _placed(_image(self.annotations, number, record))
            if isinstance(found, tuple) and found[0] == self.group and found[1] in paths:
                for question in _asked(self.annotations, number, record):
                    yield found[1], question


def llava665k_sources(
    name: str,
    annotations: str | Path,
    root: str | Path = "",
    places: Mapping[str, str] | None = None,
    only: Collection[str] = (),
    max_bytes: int = MAX_BYTES,
) -> list[Llava665kSource]:
    """One source a data set, called `name/coco` and so on; an empty `root` means the annotation file's own folder.

    `places` says where some of the folders lie instead (`roots.Roots`), `only` which data sets are wanted. A folder
    may be a link (data sets often lie on another disk): its target is then the root that no path of it may leave.
    Absolute paths and paths with `..` are refused, and a folder that is not there is left out; both are told by the
    first source's `unlisted`. Raises SenaError when the file cannot be used or nothing is left.
    """
    annotations = Path(annotations).expanduser()
    if not annotations.exists():
        raise SenaError(f"{annotations} cannot be read (No such file or directory): check the source's path")
    roots = make_roots(str(root or annotations.parent), places or {})
    groups, left_out = _grouped(name, annotations)
    groups = _wanted(groups, only, annotations)
    there: dict[str, dict[str, str]] = defaultdict(dict)
    for group, folders in sorted(groups.items()):
        for folder, paths in sorted(folders.items()):
            whole = f"{group}/{folder}".strip("/")
            place = roots.find(whole)
            if place:
                there[group][folder] = place
            else:
                left_out.append(_missing(name, whole, len(paths), roots))
    if not there:
        raise _nothing(annotations, groups, roots)
    return [
        Llava665kSource(
            f"{name}/{group}".rstrip("/"),
            group,
            Paths.joined([groups[group][folder] for folder in folders]),
            folders,
            annotations,
            tuple(left_out) if number == 0 else (),
            max_bytes,
        )
        for number, (group, folders) in enumerate(there.items())
    ]


def _grouped(name: str, annotations: Path) -> tuple[dict[str, dict[str, Paths]], list[Skipped]]:
    """Paths by data set and sub-folder, relative to the data set; and the first of those that are refused."""
    growing: dict[tuple[str, str], Growing] = defaultdict(Growing)
    left_out: dict[str, Skipped] = {}
    refused = 0
    for number, record in enumerate(records(annotations), start=1):
        image = _image(annotations, number, record)
        found = _placed(image)
        if isinstance(found, tuple):
            growing[found[0], _split(found[1])[0]].add(found[1])
        elif found:
            refused += 1
            if len(left_out) < SHOWN:
                shown = image if is_text(image) else ascii(image)
                left_out[shown] = Skipped(name, shown, found)
    told = list(left_out.values())
    if refused > len(told) == SHOWN:
        told.append(Skipped(name, f"{refused - SHOWN} more", "refused", "as those before"))
    groups: dict[str, dict[str, Paths]] = defaultdict(dict)
    for (group, folder), each in growing.items():
        groups[group][folder] = each.paths()
    return groups, told


def _placed(image: str) -> tuple[str, str] | str:
    """Data set and path below it, the reason why a path is refused, or nothing where there is no picture."""
    if not image:
        return ""
    path = PurePosixPath(image)
    if not is_text(image):
        return "name is not text"
    if path.is_absolute() or ".." in path.parts:
        return "outside its root"
    if len(path.parts) < 2:
        return "", str(path)
    return known_as(path.parts[0]), str(PurePosixPath(*path.parts[1:]))


def _split(path: str) -> tuple[str, str]:
    """The first folder of a path and the rest."""
    folder, slash, file = path.partition("/")
    return (folder, file) if slash else ("", path)


def _image(annotations: Path, number: int, record: Any) -> str:
    image = record.get("image") if isinstance(record, dict) else 0
    if not isinstance(image, str | None):
        raise SenaError(f"{annotations}, record {number}: a record needs an `image` that is one path, or none")
    return image or ""


def _asked(annotations: Path, number: int, record: dict[str, Any]) -> Iterator[str]:
    """What people asked in a record, without the picture's place."""
    turns = record.get("conversations")
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise SenaError(
            f"{annotations}, record {number}: it has no `conversations`, a list of turns: name another file"
        )
    for turn in turns:
        text = turn.get("value")
        if turn.get("from") == "human" and isinstance(text, str) and text.replace("<image>", "").strip():
            yield text.replace("<image>", "").strip()


def _wanted(
    groups: dict[str, dict[str, Paths]], only: Collection[str], annotations: Path
) -> dict[str, dict[str, Paths]]:
    lost = sorted({known_as(name) for name in only} - groups.keys())
    if lost:
        raise SenaError(f"{annotations} names no picture of {lost[0]}, only of {_named(groups)}: change `only`")
    return {group: paths for group, paths in groups.items() if not only or group in map(known_as, only)}


def _missing(name: str, folder: str, count: int, roots: Roots) -> Skipped:
    """Told with the place where the folder belongs and the setting that names another."""
    places = " or ".join(roots.candidates(folder))
    key = folder.split("/")[0]
    return Skipped(
        name, folder, "missing", f"folder of {count} pictures; they belong in {places}, or set images.roots.{key}"
    )


def _nothing(annotations: Path, groups: dict[str, dict[str, Paths]], roots: Roots) -> SenaError:
    if not groups:
        return SenaError(f"{annotations} names no picture at all: name the LLaVA-665K annotation file")
    wanted = sorted(f"{group}/{folder}".strip("/") for group, folders in groups.items() for folder in folders)
    return SenaError(
        f"{annotations} names {', '.join(wanted[:SHOWN])}, and {roots.base} has none of it: set the source's root, "
        f"or images.roots"
    )


def _named(groups: dict[str, dict[str, Paths]]) -> str:
    return ", ".join(sorted(groups)[:SHOWN]) or "nothing"
