"""Who works on a run in an object store. No lock reaches over machines: a small object says who does, and since when.

It is written anew every minute. Two machines that begin in the same second, or one that comes back after a long sleep,
are told apart at the next minute, and until then both write.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sena import copies, stores
from sena.errors import RunFolderError, SenaError

NAME = ".owner.json"
BEAT = 60.0
"""Seconds after which an owner says again that it is there, and puts its logs."""
FRESH = 5 * BEAT
"""Seconds after which one that does not is taken for gone."""


@contextlib.contextmanager
def owned(path: Path) -> Iterator[None]:
    """Work on the run that `path` is a copy of, after the two were made to agree. For other paths nothing is done.

    Raises RunFolderError while another machine works on it, SenaError when the store says no.
    """
    address = copies.address_of(path)
    if address is None:
        yield
        return
    where, me = f"{address}/{NAME}", _me(path)
    _demand_free(address, where, me)
    copies.agree(path)
    copies.forbid(address, "")
    _say(where, me)
    ended = threading.Event()
    beat = threading.Thread(target=_beat, args=(where, me, ended), daemon=True)
    beat.start()
    try:
        yield
    except BaseException:
        ended.set()
        with contextlib.suppress(SenaError):  # the first error is the one to tell
            _end(path, where, me, beat)
        raise
    else:
        ended.set()
        _end(path, where, me, beat)
    finally:
        copies.forget(path)  # from now on the run may be another's


def _me(path: Path) -> dict[str, Any]:
    """The folder is part of it: every user of a machine has a copy of their own."""
    return {"host": socket.gethostname(), "folder": str(path), "process": os.getpid(), "since": time.time()}


def _demand_free(address: str, where: str, me: dict[str, Any]) -> None:
    said, found = _read(where), stores.found(where)
    is_mine = all(said.get(key) == me[key] for key in ("host", "folder"))  # then the folder's own lock has told
    age = 0.0 if found is None else time.time() - found.written
    if found is not None and not is_mine and age < FRESH:
        raise RunFolderError(
            f"{address} is in use by process {said.get('process')} of {said.get('host')}, which said so "
            f"{max(age, 0):.0f} seconds ago: wait for it, end it, or choose another --out. If it is gone, wait "
            f"{FRESH / 60:.0f} minutes, or remove {where}"
        )


def _beat(where: str, me: dict[str, Any], ended: threading.Event) -> None:
    """Say every minute that this process is there, and put its logs; as long as no other has taken over. When the store
    cannot be reached, the next minute may do better, and the run itself tells."""
    while not ended.wait(BEAT):
        with contextlib.suppress(SenaError):
            other = _read(where)
            if other and other != me:
                address = where.removesuffix(f"/{NAME}")
                copies.forbid(
                    address,
                    f"{address} was taken over by process {other.get('process')} of {other.get('host')}, since this "
                    f"one was silent for {FRESH / 60:.0f} minutes: leave it to that one",
                )
                return
            _say(where, me)
            copies.flush()


def _end(path: Path, where: str, me: dict[str, Any], beat: threading.Thread) -> None:
    beat.join()
    for log in (*path.glob("*.log"), *path.glob("tensorboard/*")):  # written by others than sena
        copies.appended(log)
    copies.flush()
    if _read(where) == me:
        with stores.faults(where):
            stores.driver(where).rm_file(where)


def _say(where: str, me: dict[str, Any]) -> None:
    with stores.faults(where):
        stores.driver(where).pipe_file(where, json.dumps(me).encode())


def _read(where: str) -> dict[str, Any]:
    """What the object says; nothing where there is none."""
    with stores.faults(where), contextlib.suppress(FileNotFoundError, ValueError):
        said = json.loads(stores.read(where))
        return said if isinstance(said, dict) else {}
    return {}
