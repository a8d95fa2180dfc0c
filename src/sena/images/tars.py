"""Tar files of pictures, as WebDataset keeps them. Each is read where it lies: nothing is unpacked to the disk."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sena import stores
from sena.errors import ImageError, SenaError
from sena.images.paths import Growing, Paths, last_of_equals
from sena.images.sources import MAX_BYTES, SUFFIXES, LeftOut, Skipped, is_text

ENDINGS = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
"""Compressed tars, in which no place can be gone to."""
BLOCK = 512


class TarSource:
    """The pictures of one tar file, or of all in a folder. A path is the tar's name and the member's: `1.tar/a/b.jpg`.

    The headers are read once, on first use; what is kept is the names, and where each member begins and how long it is.
    """

    def __init__(self, name: str, path: str | Path, max_bytes: int = MAX_BYTES) -> None:
        """Raises SenaError when `path` is neither a tar file nor a folder of them."""
        self.name = name
        self.path = path if stores.is_address(path) else Path(path).expanduser()
        self.max_bytes = max_bytes
        self.tars = tars_of(self.path)
        self._index: tuple[Paths, np.ndarray, list[Skipped]] | None = None

    def list(self) -> Sequence[str]:
        """All members that are pictures by their ending, sorted. Raises SenaError when there is none, or for a tar
        that is damaged."""
        paths, _, unlisted = self._scan()
        if not paths:
            also = f" ({unlisted[0].path}: {unlisted[0].reason})" if unlisted else ""
            raise SenaError(f"No picture ({', '.join(SUFFIXES)}) in {self.path}{also}: name another tar file")
        return paths

    def unlisted(self) -> Sequence[Skipped]:
        """Members that are links, that repeat a name, or whose name leads out of the tar or is no text."""
        return self._scan()[2]

    def read(self, path: str) -> bytes:
        """The member's bytes. Raises ImageError: `missing`, `too many bytes`, `truncated` or `unreadable`."""
        paths, places, _ = self._scan()
        number = paths.place(path)
        if number is None:
            raise ImageError("missing", path)
        tar, offset, size = (int(value) for value in places[number])
        if size > self.max_bytes:
            raise ImageError("too many bytes", f"{path} has {size}, the limit is {self.max_bytes}")
        try:
            data = _part(self.tars[tar], offset, size)
        except OSError as error:
            raise ImageError("unreadable", f"{path} ({error.strerror})") from error
        if len(data) < size:
            raise ImageError("truncated", f"{path}: its tar ends before it does")
        return data

    def _scan(self) -> tuple[Paths, np.ndarray, list[Skipped]]:
        """Sorted paths, for each its tar, offset and size [N, 3], and what was left out."""
        if self._index is None:
            growing, places, left_out = Growing(), _Rows(), LeftOut(self.name)
            for number, tar in enumerate(self.tars):
                for member in _members(tar):
                    path = f"{PurePosixPath(tar).name}/{member.name}"
                    reason = _refused(member)
                    if reason is None:
                        growing.add(path)
                        places.add(number, member.offset_data, member.size)
                    elif reason:
                        left_out.add(path if is_text(path) else ascii(path), reason)
            paths, where = _sorted(growing, places.array(), left_out)
            self._index = paths, where, left_out.all()
        return self._index


class _Rows:
    """Rows of three numbers that come one by one, kept as numbers of 8 bytes."""

    def __init__(self) -> None:
        self.pieces: list[np.ndarray] = []
        self.waiting: list[tuple[int, int, int]] = []

    def add(self, *row: int) -> None:
        self.waiting.append(row)  # type: ignore[arg-type]
        if len(self.waiting) == 1024:
            self.pieces.append(np.array(self.waiting, dtype=np.int64))
            self.waiting = []

    def array(self) -> np.ndarray:
        """[N, 3]."""
        return np.concatenate([*self.pieces, np.array(self.waiting, dtype=np.int64).reshape(-1, 3)])


def tars_of(path: str | Path) -> Sequence[str | Path]:
    """The file itself, or the tar files of a folder (or of an address) in the order of their names."""
    if str(path).lower().endswith(ENDINGS):
        raise SenaError(f"{path} is compressed, and pictures are picked out of a tar: unpack it to a plain .tar first")
    if stores.is_address(path):
        found = stores.files_in(str(path), ".tar")
        if not found:
            raise SenaError(f"There is no .tar file right below {path}: name another place")
        return found
    path = Path(path)
    if path.is_dir():
        tars = sorted(each for each in path.iterdir() if each.suffix == ".tar" and each.is_file())
        if not tars:
            raise SenaError(f"There is no .tar file in the folder {path}: name another one")
        return tars
    if not path.is_file():
        raise SenaError(f"There is no file {path}: check the spelling, or name another one")
    return [path]


def _part(tar: str | Path, offset: int, size: int) -> bytes:
    """Bytes of a tar, which is not read otherwise. Raises OSError for a file, SenaError for an object."""
    if stores.is_address(tar):
        with stores.faults(str(tar)):
            return stores.read(str(tar), offset, offset + size)
    with open(tar, "rb") as handle:
        handle.seek(offset)
        return handle.read(size)


def _members(tar: str | Path) -> Iterator[tarfile.TarInfo]:
    """The members of a tar, none kept. Raises SenaError when the file is damaged, wherever it is."""
    try:
        with stores.open_file(tar) as file, tarfile.open(None, "r:", file, errors="surrogateescape") as handle:
            while member := handle.next():
                handle.members.clear()  # type: ignore[attr-defined]  # or it would keep them all
                yield member
            _demand_end(handle)
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise SenaError(f"{tar} is no whole tar file ({error}): make or download it again") from error
    except OSError as error:
        raise SenaError(f"{tar} cannot be read ({error.strerror}): check the path and its permissions") from error


def _demand_end(handle: Any) -> None:
    """A header that is broken ends the reading without a word; a whole tar ends in zeros, or in nothing."""
    handle.fileobj.seek(handle.offset)
    if handle.fileobj.read(BLOCK).strip(b"\0"):
        raise tarfile.ReadError(f"broken header at byte {handle.offset}")


def _refused(member: tarfile.TarInfo) -> str | None:
    """Why a member is left out: nothing to be told for what is no picture by its name, None for one that is taken."""
    path = PurePosixPath(member.name)
    if not member.name.lower().endswith(SUFFIXES) or path.name.startswith(".") or member.isdir():
        return ""
    if not is_text(member.name):
        return "name is not text"
    if not member.isreg():
        return "unreadable"
    return "outside its root" if path.is_absolute() or ".." in path.parts else None


def _sorted(growing: Growing, places: np.ndarray, left_out: LeftOut) -> tuple[Paths, np.ndarray]:
    """Paths in order with their places. Of members with one name the last counts, as when a tar is unpacked."""
    import pyarrow.compute as pc

    column = growing.column()
    order = pc.sort_indices(column).to_numpy()  # type: ignore[attr-defined]  # stable
    column, places = column.take(order), places[order]
    last = last_of_equals(column)
    if last is None:
        return Paths(column), places
    kept = last.to_numpy(zero_copy_only=False)
    for place in np.flatnonzero(~kept):
        left_out.add(column[int(place)].as_py(), "already used", "the name comes again in its tar")
    return Paths(column.filter(last)), places[kept]
