"""The process of a worker (`python -m sena.data.process`): lines of JSON in and out, see processes.py.

It ends as soon as its parent does, in the middle of whatever it does.
"""

from __future__ import annotations

import faulthandler
import json
import os
import queue
import sys
import threading
from functools import reduce
from importlib import import_module
from typing import Any

from sena.data.crew import Make, Served


def main() -> None:
    """Serve until the parent closes its end."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    faulthandler.enable()
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    served, first = Served(), json.loads(lines.get())
    _answer(served.prepare(_find(first["make"]), first["order"]), answers)
    while True:
        _answer(served.run(json.loads(lines.get())), answers)


def _read(lines: queue.Queue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)  # the parent is gone, and nobody waits for what is being made


def _find(name: str) -> Make:
    """The function `module:name`, as the parent has it."""
    module, _, path = name.partition(":")
    return reduce(getattr, path.split("."), import_module(module))  # pyright: ignore[reportReturnType]


def _answer(answer: dict[str, Any], to: Any) -> None:
    to.write(json.dumps(answer) + "\n")
    to.flush()


if __name__ == "__main__":
    main()
