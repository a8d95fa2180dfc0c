"""Pictures without truth: the unlabelled pool as a source of PNG files, painted when they are read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from sena.mini import language, world

_NAME = re.compile(r"([a-z]+)/(\d{6})(?:\.png)?")


def parse_name(name: str) -> tuple[str, int]:
    """`unlabelled/000123.png` or `unlabelled/000123` to its pool and index."""
    match = _NAME.fullmatch(name)
    if match is None or match[1] not in world.POOLS:
        raise ValueError(
            f"no picture of the miniature world is called {name!r}; names look like 'unlabelled/000123.png'"
        )
    return match[1], int(match[2])


class Names(Sequence[str]):
    """The names of a pool's pictures, made when asked for."""

    def __init__(self, pool: str, size: int) -> None:
        self.pool, self.size = pool, size

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, key: int) -> str: ...

    @overload
    def __getitem__(self, key: slice) -> list[str]: ...

    def __getitem__(self, key: int | slice) -> str | list[str]:
        numbers = range(self.size)[key]
        if isinstance(numbers, int):
            return f"{self.pool}/{numbers:06d}.png"
        return [f"{self.pool}/{number:06d}.png" for number in numbers]


@dataclass(frozen=True, slots=True)
class MiniSource:
    """An image source: names and bytes, nothing of the truth."""

    pool: str = "unlabelled"
    count: int = 20_000
    name: str = "mini"

    def list(self) -> Sequence[str]:
        return Names(self.pool, self.count)

    def questions(self, paths: Collection[str]) -> Iterator[tuple[str, str]]:
        """What people ask in this world: everything short that a picture answers, in an order drawn by its number."""
        for path in sorted(paths):
            scene = world.make_scene(*parse_name(path))
            asked = language.short_questions(scene)
            order = np.random.RandomState([world.POOLS[scene.pool], scene.index, 5]).permutation(len(asked))
            yield from ((path, asked[place].text) for place in order)

    def read(self, path: str) -> bytes:
        pool, index = parse_name(path)
        if pool != self.pool:
            raise ValueError(f"this source reads the pool {self.pool!r}, {path!r} is of another")
        return world.render_png(world.make_scene(pool, index))
