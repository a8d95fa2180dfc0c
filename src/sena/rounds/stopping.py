"""A run that ends before its time says so where it is looked for: in its log, its folder and on its page."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from sena import files
from sena.errors import Paused, SenaError
from sena.rounds.job import Job
from sena.rounds.retell import tell


@contextlib.contextmanager
def reasons_kept(job: Job) -> Iterator[None]:
    """Whatever ends the work inside is kept, then raised. The page is written anew with it, but for Ctrl-C: whoever
    types that does not want to wait."""
    files.remove(job.run.stopped)
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(OSError, SenaError):  # the first error is the one to tell
            job.reporter.note(f"Stopped: {reason(error)}")
            files.write_json(job.run.stopped, {"why": reason(error), "at": time.strftime("%Y-%m-%d %H:%M:%S")})
        if isinstance(error, Exception):
            with contextlib.suppress(Exception):
                tell(job.run, job.recipe)
        raise


def reason(error: BaseException) -> str:
    """Why a run stopped, as a person is told."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted by its user (Ctrl-C): the same command goes on"
    if isinstance(error, Paused):
        return f"it waits: {error}"
    return str(error) if isinstance(error, SenaError) else f"{type(error).__name__}: {error}"
