"""A shard on its way through workers that may die of it, and the search for the one image that kills them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sena.data.crew import Task

MOST_LEFT_OUT = 2
"""Images of one shard that may be given up; more are no picture's fault, and the shard fails."""

State = Literal["done", "again", "failed"]


@dataclass(slots=True)
class Work:
    """One shard's fate. It is tried `1 + retries` times; then its images are searched by halves for the one that kills.

    An image is given up only when a fresh worker died of it alone. After that the whole shard is made without it.
    """

    shard: int
    images: Sequence[str]
    retries: int = 2
    deaths: int = 0
    why: str = ""
    left_out: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()

    def task(self) -> Task:
        """What a worker is to do next: the whole shard, or a trial of half of the suspects."""
        if self.suspects:
            return Task(self.shard, only=self._half())
        return Task(self.shard, self.left_out)

    def lived(self) -> State:
        """The worker did its task."""
        if not self.suspects:
            return "done"
        self.suspects = self.suspects[len(self._half()) :]
        return "again" if self.suspects else "failed"  # each half lives by itself: no single image is to blame

    def died(self, why: str) -> State:
        """The worker did not live through its task."""
        self.deaths += 1
        self.why = why
        if len(self.suspects) == 1:
            self.left_out, self.suspects = (*self.left_out, *self.suspects), ()
        elif self.suspects:
            self.suspects = self._half()
        elif self.deaths > self.retries:
            rest = tuple(image for image in self.images if image not in self.left_out)
            if not rest or len(self.left_out) == MOST_LEFT_OUT:
                return "failed"
            self.suspects = rest
        return "again"

    def report(self) -> dict[str, Any]:
        """For the list of failed shards."""
        return {"shard": self.shard, "images": list(self.images), "deaths": self.deaths, "why": self.why}

    def _half(self) -> tuple[str, ...]:
        return self.suspects[: (len(self.suspects) + 1) // 2]
