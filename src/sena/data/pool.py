"""Gives shards to workers until all are done or have failed, and replaces workers that die or hang."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sena.data.blame import State, Work
from sena.data.config import ComputeConfig
from sena.data.crew import Answer, Crew, Hand
from sena.errors import SenaError

PATIENCE = 30.0
"""Seconds without any worker after which a person is told."""
MOST_DEATHS = 16
"""Deaths one after the other, beyond those of every worker's retries, that no picture explains."""


@dataclass(slots=True)
class Pool:
    """Workers, the shards that they have, and those that wait.

    `tell` gets the figures of every shard that is made, `say` a line for the person.
    """

    crew: Crew
    config: ComputeConfig
    waiting: deque[Work]
    tell: Callable[[dict[str, Any]], None]
    say: Callable[[str], None]
    failed: list[Work] = field(default_factory=list)
    _busy: dict[Any, Work] = field(default_factory=dict)
    _until: dict[Any, float] = field(default_factory=dict)
    """All workers, and when each is taken for hung; one that no node has taken up yet may wait for ever."""
    _free: list[Hand] = field(default_factory=list)
    _never_ready: int = 0
    """Workers one after the other that ended before they were ready."""
    _dead: int = 0
    """Workers one after the other that died at work."""
    _why: str = ""
    """What became of the last one that was lost."""

    def work_off(self) -> list[Work]:
        """Returns the shards that failed, by number. Raises SenaError for a mistake that a worker tells of, when none
        can start, and when workers die whatever they do."""
        begun, waited = time.monotonic(), False
        while self.waiting or self._busy:
            self._hire()
            self._give()
            for hand, answer in self.crew.wait(list(self._until), self._patience()):
                if hand in self._until:  # else it was dismissed meanwhile
                    self._hear(hand, answer)
            for hand in [hand for hand, until in self._until.items() if time.monotonic() > until]:
                hand.dismiss()
                self._lost(hand, f"gave no answer in {self.config.timeout_minutes:g} minutes")
            if not waited and time.monotonic() - begun > PATIENCE:
                waited = True
                self._say_if_none_started()
        return sorted(self.failed, key=lambda work: work.shard)

    def _hire(self) -> None:
        """As many workers as there is work for; no more of them while new ones end before they are ready."""
        want = min(self.crew.size, len(self.waiting) + len(self._busy))
        while len(self._until) < want and self._never_ready <= self.config.retries:
            self._until[self.crew.hire()] = float("inf")
        if want and not self._until:
            raise SenaError(f"No worker could be made ready, in {self._never_ready} tries; the last {self._why}")

    def _give(self) -> None:
        """Shards to the free workers. A worker that nothing is left for ends, which lets a cluster shrink."""
        for hand in self._free:
            if self.waiting:
                self._busy[hand] = self.waiting.popleft()
                self._clock(hand)
                hand.ask(self._busy[hand].task())
            else:
                hand.dismiss()
                del self._until[hand]
        self._free = []

    def _hear(self, hand: Hand, answer: Answer) -> None:
        match answer.kind:
            case "started":
                self._clock(hand)
                hand.prepare()
            case "ready":
                self._never_ready = 0
                self._free.append(hand)
            case "done":
                self._dead = self._never_ready = 0
                self._free.append(hand)
                work = self._busy.pop(hand)
                self._settle(work, work.lived())
                if answer.value["made"]:
                    self.tell(answer.value)
            case "died":
                self._lost(hand, answer.value)
            case "mistake":
                raise SenaError(answer.value)

    def _lost(self, hand: Hand, why: str) -> None:
        """A worker is gone. Its shard, if it had one, waits behind the others."""
        del self._until[hand]
        work = self._busy.pop(hand, None)
        self._why = why
        if work is None:
            self._never_ready += 1
            return
        self._dead += 1
        if self._dead > MOST_DEATHS + self.crew.size * (1 + self.config.retries):
            raise SenaError(f"{self._dead} workers died one after the other, which no picture explains: the last {why}")
        state = work.died(why)
        self.say(f"  a worker {why} at shard {work.shard}, {_next(work, state)}")
        self._settle(work, state)

    def _settle(self, work: Work, state: State) -> None:
        if state == "again":
            self.waiting.append(work)
        elif state == "failed":
            self.failed.append(work)

    def _clock(self, hand: Hand) -> None:
        self._until[hand] = time.monotonic() + 60 * self.config.timeout_minutes

    def _patience(self) -> float:
        return max(0.0, min([PATIENCE, *(until - time.monotonic() for until in self._until.values())]))

    def _say_if_none_started(self) -> None:
        if all(until == float("inf") for until in self._until.values()):
            self.say("  no worker has started yet: the cluster has no room for one, or is still growing")


def _next(work: Work, state: State) -> str:
    """What becomes of a shard after a death, in words."""
    if state == "failed":
        return "which is put aside"
    if len(work.suspects) == len(work.images) - len(work.left_out):
        return "whose images are now searched for the one that it dies of"
    if work.suspects:
        return f"with {len(work.suspects)} images left to search"
    if work.left_out:
        return f"which goes on without the image {work.left_out[-1]}: a worker died of it alone"
    return "which is tried again"


def work_off(
    crew: Crew,
    works: Iterable[Work],
    config: ComputeConfig,
    tell: Callable[[dict[str, Any]], None],
    say: Callable[[str], None],
) -> list[Work]:
    """`works` through the workers of `crew`; see `Pool.work_off`."""
    return Pool(crew, config, deque(works), tell, say).work_off()
