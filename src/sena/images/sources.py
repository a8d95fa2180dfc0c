"""Where pictures come from: something with a name that lists relative paths and reads one file. Folders live here."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from sena.errors import ImageError, SenaError
from sena.images.config import LimitsConfig
from sena.images.paths import Growing, Paths

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif")
MAX_BYTES: int = LimitsConfig.model_fields["max_bytes"].default


class Source(Protocol):
    """A named set of pictures. Paths are relative, with `/`, and mean something to this source only."""

    @property
    def name(self) -> str:
        """What tables call it. Unique within a run."""
        ...

    def list(self) -> Sequence[str]:
        """Every candidate's path. Nothing is opened. Raises SenaError when there is none."""
        ...

    def read(self, path: str) -> bytes:
        """The file. Raises ImageError: `missing`, `outside its root`, `unreadable` or `too many bytes`."""
        ...


SHOWN = 20
"""Refused names that are told one by one."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A picture (or folder) that was passed over, and why. `reason` is one of a few fixed strings."""

    source: str
    path: str
    reason: str
    detail: str = ""


@dataclass(slots=True)
class LeftOut:
    """What a listing leaves out: the first `SHOWN` one by one, those beyond counted in a last line, since a hostile
    list may hold millions."""

    source: str
    shown: list[Skipped] = field(default_factory=list)
    count: int = 0

    def add(self, path: str, reason: str, detail: str = "") -> None:
        self.count += 1
        if self.count <= SHOWN:
            self.shown.append(Skipped(self.source, path, reason, detail))

    def all(self) -> list[Skipped]:
        if self.count <= SHOWN:
            return self.shown
        return [*self.shown, Skipped(self.source, f"{self.count - SHOWN} more", "refused", "as those before")]


@runtime_checkable
class Reporting(Protocol):
    """A source that can also say what its listing had to leave out, such as folders that may not be opened."""

    def unlisted(self) -> Sequence[Skipped]:
        """What the listing could not reach or refused, sorted by path."""
        ...


@runtime_checkable
class Placing(Protocol):
    """A source whose pictures lie at places that a person may have got wrong."""

    def place(self, path: str) -> str:
        """Where the file belongs on the disk."""
        ...


class FolderSource:
    """All pictures of a folder and its sub-folders, hidden ones left out.

    A link to a file is listed, and read if its target lies below the root. A link to a folder is not followed: what
    lies below the root is listed at its own place, and what lies outside is refused.
    """

    def __init__(self, name: str, root: str | Path, max_bytes: int = MAX_BYTES) -> None:
        """Raises SenaError when `root` is no folder. The folder is searched on first use, and once."""
        self.name = name
        self.max_bytes = max_bytes
        self.root = real_folder(root)
        self._found: tuple[Sequence[str], Sequence[Skipped]] | None = None

    def list(self) -> Sequence[str]:
        """Sorted relative paths. Raises SenaError when the folder may not be read or holds no picture."""
        paths, unlisted = self._scan()
        if not paths:
            also = f" ({len(unlisted)} entries could not be used, {_first(unlisted)})" if unlisted else ""
            kinds = ", ".join(SUFFIXES)
            raise SenaError(f"No picture ({kinds}) in the folder {self.root}{also}: put some there or name another one")
        return paths

    def unlisted(self) -> Sequence[Skipped]:
        """Sub-folders that may not be opened, links that lead out of the root, names that are no text."""
        return self._scan()[1]

    def read(self, path: str) -> bytes:
        """See `read_below`."""
        return read_below(self.root, path, self.max_bytes)

    def _scan(self) -> tuple[Sequence[str], Sequence[Skipped]]:
        if self._found is None:
            paths, unlisted = _walk(self.name, self.root)
            self._found = paths, sorted(unlisted, key=lambda skipped: skipped.path)
        return self._found


def real_folder(root: str | Path) -> str:
    """The folder with all links resolved. Raises SenaError when it is missing or no folder."""
    real = os.path.realpath(Path(root).expanduser())
    if not os.path.exists(real):
        raise SenaError(f"There is no folder {root}: check the spelling, or name another one")
    if not os.path.isdir(real):
        raise SenaError(f"{root} is a file: name the folder that holds the pictures")
    return real


def read_below(root: str, path: str, max_bytes: int) -> bytes:
    """The file `path` below `root` (already resolved), links included; its size is checked before it is read.

    Raises ImageError: `missing`, `outside its root`, `unreadable` or `too many bytes`.
    """
    try:
        real = os.path.realpath(os.path.join(root, path))
        if not is_below(root, real):
            raise ImageError("outside its root", path)
        status = os.stat(real)
        if not stat.S_ISREG(status.st_mode):  # a pipe would block for ever
            raise ImageError("unreadable", f"{path} is not a regular file")
        if status.st_size > max_bytes:
            raise ImageError("too many bytes", f"{path} has {status.st_size}, the limit is {max_bytes}")
        with open(real, "rb") as handle:
            return handle.read(status.st_size)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError("missing", path) from error
    except OSError as error:
        raise ImageError("unreadable", f"{path} ({error.strerror})") from error
    except ValueError as error:  # a null byte in the path
        raise ImageError("unreadable", repr(path)) from error


def is_below(root: str, real: str) -> bool:
    """Whether a resolved path lies in the resolved folder `root`."""
    return os.path.commonpath([root, real]) == root


def is_text(path: str) -> bool:
    """Whether a path can be written to a table: file systems also allow bytes that are no UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _walk(name: str, root: str) -> tuple[Paths, list[Skipped]]:
    """All picture paths below `root`, and what had to be left out, unsorted."""
    growing = Growing()
    unlisted: list[Skipped] = []
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            entries = os.scandir(os.path.join(root, folder))
        except OSError as error:
            if not folder:
                raise SenaError(f"The folder {root} may not be read: give yourself permission (chmod u+rx)") from error
            unlisted.append(Skipped(name, folder, "unreadable folder", error.strerror or ""))
            continue
        with entries:
            for entry in entries:
                path = os.path.join(folder, entry.name)
                reason = _refused(root, path, entry)
                if reason:
                    shown = path if is_text(path) else os.fsencode(path).decode(errors="backslashreplace")
                    unlisted.append(Skipped(name, shown, reason))
                elif entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                    waiting.append(path)
                elif _is_picture(entry):
                    growing.add(path)
    return growing.paths(), unlisted


def _refused(root: str, path: str, entry: os.DirEntry[str]) -> str:
    """Why an entry is left out, where that is to be told."""
    if entry.name.startswith("."):
        return ""
    if not is_text(path):
        return "name is not text"
    away = _is_linked_folder(entry) and not is_below(root, os.path.realpath(entry.path))
    return "outside its root" if away else ""


def _is_picture(entry: os.DirEntry[str]) -> bool:
    """By its name. A link to a folder below the root is none: what it shows is listed at its own place."""
    name = entry.name.lower()
    return name.endswith(SUFFIXES) and not name.startswith(".") and not _is_linked_folder(entry)


def _is_linked_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and os.path.isdir(entry.path)  # `entry.is_dir()` raises on a circle


def _first(unlisted: Sequence[Skipped]) -> str:
    return f"the first is {unlisted[0].path}: {unlisted[0].reason}"
