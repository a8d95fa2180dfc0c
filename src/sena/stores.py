"""Places in an object store, by addresses such as `s3://bucket/photos`: what lies there, read piece by piece.

fsspec's drivers do the work, retries included, and find credentials where they always do. Whatever they raise becomes
one sentence. A run folder in a store has a copy to work in: `copies.py`.
"""

from __future__ import annotations

import contextlib
import errno
import io
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from sena.errors import SenaError

DRIVERS = {"s3": "s3fs", "gs": "gcsfs"}
"""Kinds of store, and the package that knows each."""
PIECE = 1 << 23
"""Bytes of an object that are read at a time, where it is read from its beginning to its end."""
_ADDRESS = re.compile(rf"({'|'.join(DRIVERS)}):/{{1,2}}(.*)", re.DOTALL)
"""With one slash too: that is what `Path` makes of two."""
_BEHIND_END = re.compile(r"InvalidRange|range\W+(is )?not satisfiable", re.IGNORECASE)
"""What stores say when nothing lies where reading was to begin; a bucket may be called `orange`."""
_PATIENCE: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 2}}}
}
"""The driver tries five times by itself; without this each of them waits for many minutes."""


class Found(NamedTuple):
    """An object: its name below the place that was listed, its bytes, and when it was written, in whole seconds since
    1970 by the store's clock (0 where the driver does not say)."""

    name: str
    size: int
    written: int


def is_address(where: str | Path) -> bool:
    """Whether a text names a place in a store, and not one on the disk."""
    return _ADDRESS.fullmatch(str(where)) is not None


def address(where: str | Path) -> str:
    """The address, tidied. Raises SenaError for one without a bucket, or with parts that are no plain names."""
    found = _ADDRESS.fullmatch(str(where))
    if found is None:
        raise SenaError(f"{where} is no address of a store: it looks like s3://bucket/folder")
    scheme, rest = found[1], found[2].rstrip("/")
    if not is_inside(rest):
        raise SenaError(f"{scheme}://{rest} is no address of a store: it looks like {scheme}://bucket/folder")
    return f"{scheme}://{rest}"


def is_inside(name: str) -> bool:
    """Whether a name stays below the place that it belongs to, as a path and as a part of a web address."""
    return "\0" not in name and not {"", ".", ".."} & set(name.split("/"))


def driver(where: str) -> Any:
    """The file system of fsspec for an address. Raises SenaError naming the package that is missing."""
    import fsspec
    from fsspec.config import conf

    scheme = where.partition("://")[0]
    try:
        return fsspec.filesystem(
            scheme, use_listings_cache=False, **{**_PATIENCE.get(scheme, {}), **conf.get(scheme, {})}
        )
    except ImportError as error:
        package = DRIVERS[scheme]
        raise SenaError(f"{where} needs the package {package}: pip install {package}") from error


@contextlib.contextmanager
def faults(where: str) -> Iterator[None]:
    """Makes a sentence (SenaError) of whatever a driver raises about `where`: each library has errors of its own."""
    try:
        yield
    except SenaError:
        raise
    except FileNotFoundError as error:
        raise SenaError(f"There is no {where}: check the bucket and the spelling") from error
    except PermissionError as error:
        raise SenaError(
            f"{where} may not be used ({_first_line(error)}): check the credentials, and what they allow"
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise SenaError(f"No space left on the disk for a copy of {where}: free some, or set SENA_CACHE") from error
        raise SenaError(
            f"{where} cannot be reached ({_first_line(error)}): check network, credentials and endpoint, and type the "
            "same command again"
        ) from error


def listed(where: str) -> Iterator[Found]:
    """All objects below `where`, in the store's order, a page at a time: a million of them are never held at once.

    Marks of folders (names that end with a slash) are left out. Raises SenaError when the store says no.
    """
    with faults(where):
        for path, details in _pages(where):
            name = path.removeprefix(where.partition("://")[2]).removeprefix("/")
            if name and not name.endswith("/"):
                yield Found(name, int(details.get("size", details.get("Size", 0))), _seconds(details))


def _pages(where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Path (bucket and key) and details of each object."""
    store = driver(where)
    if not hasattr(store, "call_s3"):  # the other drivers only list all at once
        yield from store.find(where, detail=True).items()
        return
    bucket, _, key = where.partition("://")[2].partition("/")
    more: dict[str, str] = {}
    while True:
        page = store.call_s3("list_objects_v2", Bucket=bucket, Prefix=f"{key}/" if key else "", **more)
        yield from ((f"{bucket}/{each['Key']}", each) for each in page.get("Contents", ()))
        if not page.get("IsTruncated"):
            return
        more = {"ContinuationToken": page["NextContinuationToken"]}


def found(where: str) -> Found | None:
    """The object at `where`, if there is one. Raises SenaError when the store says no."""
    with faults(where):
        try:
            details = driver(where).info(where)
        except FileNotFoundError:
            return None
        is_file = details["type"] == "file"
        return Found(PurePosixPath(where).name, int(details["size"]), _seconds(details)) if is_file else None


def read(where: str, start: int = 0, end: int | None = None) -> bytes:
    """Bytes `start` to `end` of an object, or fewer where it ends before. One request, which asks for no size first.

    Raises FileNotFoundError and PermissionError as they come, since a caller may go on without one object; SenaError
    for every other fault.
    """
    try:
        return driver(where).cat_file(where, start=start, end=end)
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:
        if _BEHIND_END.search(f"{error} {error.__cause__}"):
            return b""
        with faults(where):
            raise


class _Object(io.RawIOBase):
    """An object as a file: every piece that is read is a request. Raises SenaError for whatever goes wrong."""

    def __init__(self, where: str) -> None:
        super().__init__()
        there = found(where)
        if there is None:
            raise SenaError(f"There is no {where}: check the bucket and the spelling")
        self.where, self.size, self.place = where, there.size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.size}[whence]
        return self.place

    def tell(self) -> int:
        return self.place

    def readinto(self, buffer: Any) -> int:
        end = min(self.place + len(buffer), self.size)
        if end <= self.place:
            return 0
        with faults(self.where):
            data = read(self.where, self.place, end)
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)


def open_file(where: str | Path) -> BinaryIO:
    """A file or an object, to be read from any place in it. Raises OSError for a file, SenaError for an object."""
    return io.BufferedReader(_Object(address(where)), PIECE) if is_address(where) else open(where, "rb")


def files_in(where: str, ending: str) -> list[str]:
    """Those of the objects right below an address whose names end so, sorted; without any the address itself, if it
    does (a place may be called `all.parquet` too)."""
    where = address(where)
    below = [each.name for each in listed(where) if each.name.endswith(ending) and "/" not in each.name]
    return sorted(f"{where}/{name}" for name in below) or ([where] if where.endswith(ending) else [])


def _seconds(details: dict[str, Any]) -> int:
    time = details.get("LastModified") or details.get("mtime")
    return int(time.timestamp()) if hasattr(time, "timestamp") else 0  # pyright: ignore[reportOptionalMemberAccess]


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
