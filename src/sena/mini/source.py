"""Pictures without truth: the unlabelled pool as a source of PNG files, painted when they are read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sena.mini import world

_NAME = re.compile(r"([a-z]+)/(\d{6})(?:\.png)?")


def parse_name(name: str) -> tuple[str, int]:
    """`unlabelled/000123.png` or `unlabelled/000123` to its pool and index."""
    match = _NAME.fullmatch(name)
    if match is None or match[1] not in world.POOLS:
        raise ValueError(
            f"no picture of the miniature world is called {name!r}; names look like 'unlabelled/000123.png'"
        )
    return match[1], int(match[2])


@dataclass(frozen=True, slots=True)
class Names(Sequence[str]):
    """The names of a pool's pictures, made when asked for."""

    pool: str
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, key):  # type: ignore[no-untyped-def]
        if isinstance(key, slice):
            return [self[number] for number in range(*key.indices(self.count))]
        number = key + self.count if key < 0 else key
        if not 0 <= number < self.count:
            raise IndexError(key)
        return f"{self.pool}/{number:06d}.png"

    def __iter__(self) -> Iterator[str]:
        return (self[number] for number in range(self.count))


@dataclass(frozen=True, slots=True)
class MiniSource:
    """An image source: names and bytes, nothing of the truth."""

    pool: str = "unlabelled"
    count: int = 20_000
    name: str = "mini"

    def list(self) -> Sequence[str]:
        return Names(self.pool, self.count)

    def read(self, path: str) -> bytes:
        pool, index = parse_name(path)
        if pool != self.pool:
            raise ValueError(f"this source reads the pool {self.pool!r}, {path!r} is of another")
        return world.render_png(world.make_scene(pool, index))
