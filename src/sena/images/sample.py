"""Draws the pictures of a round: seeded, balanced over the sources, each picture once in a run."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from sena import ids, seeds
from sena.errors import ImageError, SenaError
from sena.images.config import LimitsConfig
from sena.images.decode import decode
from sena.images.paths import in_order
from sena.images.sources import Reporting, Skipped, Source
from sena.records import Image

MOST_THREADS, AHEAD = 16, 32
"""That decode at a time, and files of a source that are read before their turn."""


@dataclass(frozen=True, slots=True)
class Used:
    """What earlier rounds took or passed over: `ids` bar a content, `paths` (source, path) bar a file unread."""

    ids: frozenset[str] = frozenset()
    paths: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of(cls, images: Iterable[Image], skipped: Iterable[Skipped] = ()) -> Used:
        """From the images of all earlier rounds, and what those rounds skipped."""
        images = list(images)
        paths = {(image.source, image.path) for image in images} | {(item.source, item.path) for item in skipped}
        return cls(frozenset(image.id for image in images), frozenset(paths))


@dataclass(frozen=True, slots=True)
class Drawn:
    """The pictures of a round in id order, what was passed over in the order of drawing, and sources that ran dry."""

    images: tuple[Image, ...]
    skipped: tuple[Skipped, ...] = ()
    dry: tuple[str, ...] = ()

    def summary(self) -> str:
        """One sentence for a person: how many from where, which sources ran dry, what was skipped and why."""
        counts = Counter(image.source for image in self.images)
        parts = [f"{counts[name]} from {name}" for name in sorted(counts)]
        text = f"{len(self.images)} pictures: {', '.join(parts)}" if parts else "no pictures"
        if self.dry:
            text += f"; no more to be had from {', '.join(self.dry)}"
        return text + (f"; {_reasons(self.skipped)}" if self.skipped else "")


@dataclass(frozen=True, slots=True)
class _Seen:
    """A candidate's file, and what it shows or why it cannot be used."""

    path: str
    image: Image | None
    fault: ImageError | None = None
    id: str = ""


@dataclass(slots=True)
class _Reel:
    """A source's candidates on their way past, in seeded order."""

    source: Source
    rank: int
    paths: Iterator[str]
    taken: int = 0
    ahead: deque[Future[_Seen]] = field(default_factory=deque)


@dataclass(slots=True)
class _Draw:
    """What a draw has gathered so far. Files are read one by one, since not every source can be asked for two at once,
    and decoded by threads, which is most of the work."""

    used: Used
    limits: LimitsConfig
    threads: ThreadPoolExecutor
    images: dict[str, Image] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    dry: list[str] = field(default_factory=list)

    def take(self, reel: _Reel, wanted: int) -> bool:
        """Add the reel's next good picture; whatever stands before it is skipped. False when the reel is at its end.
        No more than `wanted` files, of which each may be needed, are under way."""
        while self._read_ahead(reel, wanted):
            seen = reel.ahead.popleft().result()
            fault = self._fault(seen)
            if fault is not None:
                self.skipped.append(Skipped(reel.source.name, seen.path, fault.reason, fault.detail))
            elif seen.image is not None:
                self.images[seen.id] = seen.image
                reel.taken += 1
                return True
        return False

    def _read_ahead(self, reel: _Reel, wanted: int) -> bool:
        """Whether there is a file to look at next."""
        while len(reel.ahead) < min(wanted, AHEAD):
            path = next(reel.paths, None)
            if path is None:
                break
            reel.ahead.append(self._look(reel.source, path))
        return bool(reel.ahead)

    def _look(self, source: Source, path: str) -> Future[_Seen]:
        try:
            data = source.read(path)
        except ImageError as error:
            found: Future[_Seen] = Future()
            found.set_result(_Seen(path, None, error))
            return found
        return self.threads.submit(_seen, source.name, path, data, self.limits)

    def _fault(self, seen: _Seen) -> ImageError | None:
        if seen.id in self.images:
            twin = self.images[seen.id]
            return ImageError("already used", f"same content as {twin.source}: {twin.path}")
        if seen.id in self.used.ids:
            return ImageError("already used", f"same content as {seen.id} of an earlier round")
        return seen.fault


def _seen(name: str, path: str, data: bytes, limits: LimitsConfig) -> _Seen:
    image_id = ids.of_bytes(data)
    try:
        width, height = decode(data, limits).size
    except ImageError as error:
        return _Seen(path, None, error, image_id)
    return _Seen(path, Image(image_id, name, path, hashlib.sha256(data).hexdigest(), width, height), None, image_id)


def draw(
    sources: Sequence[Source],
    count: int,
    seed: int,
    round: int,
    used: Used = Used(),
    limits: LimitsConfig = LimitsConfig(),
    at_least: int | None = None,
) -> Drawn:
    """`count` fresh pictures, as equal in number over the sources as can be; where one runs dry the others fill in.

    A source's order comes from (seed, its name) alone, so a later round goes on in the order of the first. Only
    files that are drawn are read. The order in which `sources` are given does not matter.
    Raises SenaError when fewer than `at_least` (default: `count`) pictures can be had.
    """
    _check(sources, count)
    sources = sorted(sources, key=lambda source: source.name)
    unlisted = [item for source in sources for item in _unlisted(source, used)]
    reels = [_reel(source, seed, round, used) for source in sources]
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as threads:
        drawing = _Draw(used, limits, threads, skipped=unlisted)
        _fill(drawing, reels, count)
    images = sorted(drawing.images.values(), key=lambda image: image.id)
    drawn = Drawn(tuple(images), tuple(drawing.skipped), tuple(drawing.dry))
    if len(images) < (count if at_least is None else at_least):
        raise _too_few(drawn, count, round, used)
    return drawn


def _fill(drawing: _Draw, reels: list[_Reel], count: int) -> None:
    """One picture at a time from the source that gave the fewest: equal shares however many of them run dry."""
    while len(drawing.images) < count and reels:
        reel = min(reels, key=lambda reel: (reel.taken, reel.rank))
        if not drawing.take(reel, max(1, (count - len(drawing.images)) // len(reels))):
            reels.remove(reel)
            drawing.dry.append(reel.source.name)


def _reel(source: Source, seed: int, round: int, used: Used) -> _Reel:
    """`rank` says who gives first, and so who gives one more when the count does not divide; each round anew."""
    paths = in_order(source.list())  # now, so that an empty source is told even when the others would do
    return _Reel(source, seeds.derive(seed, round, source.name, "rank"), _fresh(source.name, paths, seed, used))


def _fresh(name: str, paths: Sequence[str], seed: int, used: Used) -> Iterator[str]:
    """A source's paths in seeded order without those of earlier rounds."""
    for index in _order(len(paths), seeds.derive(seed, name, "order")):
        path = paths[int(index)]
        if (name, path) not in used.paths:
            yield path


def _order(count: int, seed: int) -> np.ndarray:
    """A seeded order of `range(count)`. Raw generator output is the same in every numpy release; `shuffle` is not."""
    return np.argsort(np.random.PCG64(seed).random_raw(count), kind="stable")


def _unlisted(source: Source, used: Used) -> list[Skipped]:
    if not isinstance(source, Reporting):
        return []
    return [item for item in source.unlisted() if (item.source, item.path) not in used.paths]


def _check(sources: Sequence[Source], count: int) -> None:
    names = Counter(source.name for source in sources)
    twice = [name for name, times in names.items() if times > 1]
    if not sources:
        raise SenaError("There is no source to draw pictures from: name one under images.sources, or give --images")
    if twice:
        raise SenaError(f"More than one source is called {twice[0]}: give each its own name")
    if count < 1:
        raise SenaError(f"A round of {count} pictures makes nothing: give --limit 1 or more")


def _too_few(drawn: Drawn, count: int, round: int, used: Used) -> SenaError:
    have = len(drawn.images)
    before = f"; earlier rounds used {len(used.ids)}" if used.ids else ""
    skipped = f"; {_reasons(drawn.skipped)}" if drawn.skipped else ""
    mend = f"give --limit {have} or more images" if have else "give more images"
    return SenaError(f"Round {round} needs {count} pictures and {have} can be had{before}{skipped}: {mend}")


def _reasons(skipped: Sequence[Skipped]) -> str:
    """`4 skipped (3 truncated, 1 already used)`, the most frequent reason first."""
    counts = Counter(item.reason for item in skipped)
    parts = [f"{times} {reason}" for reason, times in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]
    return f"{len(skipped)} skipped ({', '.join(parts)})"
