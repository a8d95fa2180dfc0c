"""Writing so that a kill at any moment leaves the old file or the new one, never half of either.

What belongs to the copy of a run in an object store goes there as well (`copies.py`).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sena import copies, stores
from sena.errors import SenaError


def write_with(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a neighbouring temporary file, then move it to `path` in one step.

    Raises SenaError with the mend when the disk is full or the folder may not be written.
    """
    demand_disk(path)
    temporary = path.with_name(f".{path.name}.tmp")  # always the same, so what a kill leaves is used up by the next try
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with open(temporary, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise disk_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    copies.put(path)


def append(path: Path, text: str) -> None:
    """Add to a log. What a kill leaves of it may end in half a line."""
    with open(path, "a", encoding="utf-8") as handle:
        handle.write(text)
    copies.appended(path)


def rename(path: Path, target: Path) -> None:
    """`os.replace(path, target)` for a file that is whole by now."""
    os.replace(path, target)
    copies.put(target)
    copies.remove(path)


def remove(path: Path) -> None:
    """Remove a file of ours, if it is there."""
    path.unlink(missing_ok=True)
    copies.remove(path)


def write_bytes(path: Path, data: bytes) -> None:
    """Atomic `path.write_bytes(data)`."""
    write_with(path, lambda temporary: _write(temporary, data))


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Atomic `path.write_text(text)`, UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Atomic JSON, sorted keys and a final newline, so that equal values are equal bytes."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The JSON in `path`. Raises SenaError naming the file when it is not JSON."""
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise SenaError(f"{path} is not valid JSON (line {error.lineno}): move it away and start again") from error


def sha256(path: Path) -> str:
    """SHA-256 of a file, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while piece := handle.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def make_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """A folder that exists whole or not at all: filled beside its place, then moved there in one step."""
    demand_disk(path)
    temporary = path.with_name(f".{path.name}.tmp")
    remove_tree(temporary)
    temporary.mkdir(parents=True)
    try:
        fill(temporary)
    except OSError as error:
        remove_tree(temporary)
        raise disk_error(path, error) from error
    remove_tree(path)
    os.replace(temporary, path)
    copies.put_folder(path)


def remove_tree(path: Path) -> None:
    """Remove a folder of ours, if it is there."""
    copies.remove_folder(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)


def demand_disk(path: Path) -> None:
    """Raises SenaError for an address that somebody took for a path: it would become a folder called `s3:`."""
    if stores.is_address(path):
        raise SenaError(f"{stores.address(path)} is in an object store, where this is not written: name a folder here")


def disk_error(path: Path, error: OSError) -> SenaError:
    """The sentence for a write that failed."""
    if error.errno == errno.ENOSPC:
        return SenaError(f"No space left on the disk of {path}: free some and run the same command again; it goes on")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return SenaError(f"{path} may not be written: change its permissions or choose another --out")
    return SenaError(f"{path} could not be written ({error.strerror}): mend that and run the same command again")
