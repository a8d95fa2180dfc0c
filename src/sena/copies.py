"""The copy here of a run folder in an object store: sena works in it as on a disk, and the store always has the truth.

A folder `s3://bucket/runs/mine` is worked in at `CACHE/stores/s3/bucket/runs/mine`, so a path says by itself whether it
is part of a copy, in every process of this machine. What `files.py` writes there is put into the store at once, and of
a folder the file that says "whole" last. When a run begins or is looked at, what the store has not, or has otherwise,
is dropped here. Two files are the same when they have the same size and time: a copy gets the time of its object.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path

from sena import stores
from sena.errors import SenaError
from sena.stores import Found

CACHE = "SENA_CACHE"
"""The environment variable that names the folder for copies, which needs room for the runs that are at work."""
LAST = ("config.json", "adapter_config.json", "manifest.json")
"""Files by which a folder counts as whole: put after all others of it."""
AT_ONCE = 64
"""Files that are fetched together."""
LOCK = ".lock"

_appended: set[Path] = set()
"""Logs that this process has added to since it put them."""
_flushing = threading.Lock()
_forbidden: dict[str, str] = {}
"""Why this process may put nothing more below an address."""


def place(where: str | Path) -> Path:
    """Where a folder or file lies here: of an address the place of its copy, of a path the path itself.

    Raises SenaError for an address that names no folder in a bucket.
    """
    if not stores.is_address(where):
        return Path(where)
    scheme, _, path = stores.address(where).partition("://")
    if "/" not in path or _is_hidden(path):
        raise SenaError(f"{scheme}://{path}: name a folder in a bucket, without parts that begin with a dot")
    return Path(_root(), scheme, path)


def address_of(path: Path) -> str | None:
    """The address that a path is a copy of; None for all other paths."""
    text, root = str(path), _root()
    if not text.startswith(root):
        return None
    scheme, _, rest = text.removeprefix(root).partition("/")
    return f"{scheme}://{rest}"


def named(path: str | Path) -> str:
    """A path as its user calls it: by its address if it is a copy."""
    return address_of(Path(path)) or str(path)


def fetch(where: str | Path) -> Path:
    """Where a file or folder lies here. What its store has of it, and this copy has not, is fetched first.

    Raises SenaError when the store says no, or holds names that no folder can hold.
    """
    path = place(where)
    address = address_of(path)
    if address is None:
        return path
    single = stores.found(address)
    if single is None:
        _get(path, _of_a_run(address))
    else:
        _get(path.parent, [single])
    return path


def look(where: str | Path) -> Path:
    """Where a run folder lies here, after `agree`; not while a run works in this copy, which then is the newer one."""
    path = place(where)
    address = address_of(path)
    if address is not None:
        with _alone(path):
            if not _is_locked(path):
                _agree(path, address)
    return path


def agree(path: Path) -> None:
    """Make a copy agree with its store: drop what the store has not or has otherwise, and fetch what is needed to look
    at a run or to go on with it. The rest comes by `fetch` when somebody asks for it.

    Raises SenaError when the store says no, or holds something else than a run.
    """
    address = address_of(path)
    assert address is not None
    with _alone(path):
        _agree(path, address)


def put(path: Path) -> None:
    """Put a file of a copy, which is whole by now, into the store, after the logs that tell of it. Other paths are
    nobody's copy, and nothing is done. Raises SenaError when the store says no."""
    if _is_mirrored(path):
        flush()
        _put(path)


def put_folder(path: Path) -> None:
    """The same for a folder, for which the store has room by now. The files by which it counts as whole come last."""
    if _is_mirrored(path):
        flush()
        for file in sorted(path.rglob("*"), key=lambda file: (file.name in LAST, str(file))):
            if file.is_file():
                _put(file)


def appended(path: Path) -> None:
    """Say that a log has grown. It is put before the next file that is, and by `flush`."""
    if _is_mirrored(path):
        _appended.add(path)


def flush() -> None:
    """Put all logs that have grown."""
    with _flushing:  # or an older state could arrive behind a newer one
        for path in list(_appended):
            _appended.discard(path)
            try:
                _put(path)
            except SenaError:
                _appended.add(path)
                raise


def forget(path: Path) -> None:
    """Put no more logs of a run that this process no longer works on."""
    _appended.difference_update([log for log in list(_appended) if log.is_relative_to(path)])


def forbid(address: str, reason: str) -> None:
    """Let no file be put or removed below an address from now on: raise SenaError with this sentence instead. An empty
    one lifts it."""
    _forbidden[address] = reason


def remove(path: Path) -> None:
    """Remove from the store what was removed here."""
    address = address_of(path)
    if address is not None and _is_mirrored(path):
        _demand_allowed(address)
        with stores.faults(address), contextlib.suppress(FileNotFoundError):
            stores.driver(address).rm_file(address)


def remove_folder(path: Path) -> None:
    """The same for a folder and all below it. The files by which it counts as whole go first."""
    address = address_of(path)
    if address is None or not _is_mirrored(path):
        return
    _demand_allowed(address)
    names = sorted((each.name for each in _of_a_run(address)), key=lambda name: name.rpartition("/")[2] not in LAST)
    with stores.faults(address):
        for name in names:
            stores.driver(address).rm_file(f"{address}/{name}")


def _agree(path: Path, address: str) -> None:
    held = {each.name: each for each in _of_a_run(address)}
    if held and not {"recipe.yaml", "manifest.json"} & held.keys():
        raise SenaError(f"{address} holds other things than a run: name a run, or for --out a new place")
    for folder, _, names in os.walk(path, topdown=False):
        for file in (Path(folder, name) for name in names if name != LOCK):
            if not _is_same(file, held.get(file.relative_to(path).as_posix())):
                file.unlink()
        with contextlib.suppress(OSError):  # it is not empty
            os.rmdir(folder)
    path.mkdir(parents=True, exist_ok=True)
    _get(path, [each for each in held.values() if _is_needed(each.name, held)])


def _put(path: Path) -> None:
    address = address_of(path)
    assert address is not None
    _demand_allowed(address)
    with stores.faults(address):
        stores.driver(address).put_file(str(path), address)
    there = stores.found(address)
    if there is not None:
        os.utime(path, (there.written, there.written))


def _demand_allowed(address: str) -> None:
    for root, reason in _forbidden.items():
        if reason and address.startswith(f"{root}/"):
            raise SenaError(reason)


def _of_a_run(address: str) -> Iterator[Found]:
    """What lies below an address, but for hidden names, which are of no run. Raises SenaError for a name that would
    lead out of the copy."""
    for each in stores.listed(address):
        if not stores.is_inside(each.name):
            raise SenaError(f"{address} holds {each.name!a}, which is no file of a run: remove it")
        if not _is_hidden(each.name):
            yield each


def _is_needed(name: str, held: Collection[str]) -> bool:
    """Whether somebody who looks at a run, or goes on with it, will read this for certain: all but weights, and the
    shards of rounds whose tables are joined."""
    begun, _, rest = name.partition("/")
    is_joined = rest.startswith("shards/") and f"{begun}/funnel.json" in held
    return not is_joined and not name.endswith(".safetensors")


def _get(path: Path, found: Iterable[Found]) -> None:
    """Fetch those of the objects below the copy `path` that it has not the same."""
    missing = [each for each in found if not _is_same(path / each.name, each)]
    for start in range(0, len(missing), AT_ONCE):
        _get_some(path, missing[start : start + AT_ONCE])


def _get_some(path: Path, found: Collection[Found]) -> None:
    address = address_of(path)
    assert address is not None
    halves = [(path / each.name).with_name(f".{os.getpid()}-{Path(each.name).name}") for each in found]
    with stores.faults(address):
        for half in halves:
            half.parent.mkdir(parents=True, exist_ok=True)
        stores.driver(address).get([f"{address}/{each.name}" for each in found], [str(half) for half in halves])
        for each, half in zip(found, halves, strict=True):
            os.utime(half, (each.written, each.written))
            os.replace(half, path / each.name)


def _is_same(file: Path, found: Found | None) -> bool:
    """Whether the store has this very file."""
    if found is None or not found.written:
        return False
    try:
        status = file.stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime) == (found.size, found.written)


def _is_mirrored(path: Path) -> bool:
    return str(path).startswith(_root()) and not _is_hidden(str(path).removeprefix(_root()))


def _is_hidden(path: str) -> bool:
    """What sena writes on the way has a name with a dot in front, and stays where it is."""
    return any(part.startswith(".") for part in path.split("/"))


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time makes a copy agree; the others wait. Raises SenaError when there can be no copy."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = open(path.with_name(f".{path.name}.agree"), "a")  # noqa: SIM115 - held until the end of the block
    except OSError as error:
        raise SenaError(
            f"{path} cannot be written ({error.strerror}), where a copy of {named(path)} belongs: set {CACHE} to "
            "another folder"
        ) from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _is_locked(path: Path) -> bool:
    """Whether a process of this machine works in the folder (`runs.folder.locked`)."""
    try:
        with open(path / LOCK) as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _root() -> str:
    """Where copies lie, with all links resolved and a slash at the end: `SENA_CACHE`, else in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _real(os.environ.get(CACHE) or f"{home}/sena")


@cache
def _real(folder: str) -> str:
    return f"{os.path.realpath(os.path.expanduser(folder))}/stores/"
