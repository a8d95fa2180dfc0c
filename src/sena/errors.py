"""What goes wrong by the user's hand. The CLI prints these as one sentence and exits with 2; all else is our bug."""

from __future__ import annotations


class SenaError(Exception):
    """One clear sentence that names the file, row or setting, and the mend."""


class RecipeError(SenaError):
    """A recipe that cannot be run: dotted path, file and line, and the nearest valid key."""


class RunFolderError(SenaError):
    """A run folder that cannot be used: another version, another recipe, or another process at work in it."""


class ImageError(SenaError):
    """A picture that cannot be used. `reason` is one of a few fixed strings, counted in the run's tables."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class ModelError(SenaError):
    """A model folder or name that cannot be loaded, or a model of the wrong kind."""


class NonFiniteError(SenaError):
    """A loss or gradient that is no number. Names the pairs of the step, since one of them caused it."""


class BatchError(SenaError):
    """No memory for a batch in the middle of what all ranks do together, so that none of them can go on. From the last
    checkpoint all can, with batches that are halved so many times."""

    def __init__(self, text: str, halvings: int) -> None:
        super().__init__(text)
        self.halvings = halvings


class Paused(SenaError):
    """No mistake: the run waits for something that its user has to do, and goes on at the next call. Exit code 0."""
