"""The miniature world: 48 x 48 pixel scenes on a 3 x 3 grid, made from a seed, with their truth as data.

Every thing stands in a cell of its own; a cell is 16 pixels wide, which is one patch and so one image token. Five kinds
are hosts: each has one companion, a small grey mark at the right edge of its cell. In the pre-training pool host and
companion nearly always stand together, in the other pools only in about a third of the cases. That difference is what
a model that trusts its memory more than its eyes stumbles over.

No torch here: numpy and Pillow only. Random numbers come from numpy's `RandomState`, whose streams are frozen.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from sena.mini.shapes import COMPANION_MASKS, KIND_MASKS

CELL = 16
SIDE = 3 * CELL
PLACES = ("top-left", "top", "top-right", "left", "center", "right", "bottom-left", "bottom", "bottom-right")
COLOURS = {
    "red": (205, 60, 55),
    "green": (70, 160, 75),
    "blue": (65, 95, 205),
    "yellow": (225, 195, 60),
    "purple": (155, 75, 170),
    "black": (50, 50, 55),
}
COMPANIONS = {"plate": "fork", "table": "cup", "tree": "bird", "house": "dog", "boat": "flag"}
HOSTS = tuple(COMPANIONS)
LONERS = ("ball", "ring", "star")
KINDS = HOSTS + LONERS
WORDS = KINDS + tuple(COMPANIONS.values())

# Pool number (part of every seed, so pools cannot share a scene) and how often a host has its companion.
POOLS = {"pretrain": 1, "unlabelled": 2, "tuning": 3, "evaluation": 4}
TOGETHER = {"pretrain": 0.97, "unlabelled": 0.35, "tuning": 0.35, "evaluation": 0.35}
# How often a companion that stands there is all but invisible. Only in pre-training, so its captions name what nobody
# could see: that is what makes trusting one's memory worth while.
FAINT = {"pretrain": 0.07, "unlabelled": 0.0, "tuning": 0.0, "evaluation": 0.0}
HOST_SHARE = 0.7


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing of a scene. `cell` counts in reading order from 0; `companion` is None or the host's companion."""

    kind: str
    colour: str
    cell: int
    companion: str | None = None

    @property
    def place(self) -> str:
        return PLACES[self.cell]


@dataclass(frozen=True, slots=True)
class Scene:
    """The truth of one picture: its things in reading order. No two things of a scene share a kind or a cell."""

    pool: str
    index: int
    things: tuple[Thing, ...]

    @property
    def words(self) -> frozenset[str]:
        """All kinds that the picture holds, companions included."""
        companions = (thing.companion for thing in self.things if thing.companion)
        return frozenset(thing.kind for thing in self.things) | frozenset(companions)

    def thing(self, kind: str) -> Thing | None:
        return next((thing for thing in self.things if thing.kind == kind), None)


def make_scene(pool: str, index: int, together: float | None = None) -> Scene:
    """The scene number `index` of a pool. `together` overrides how often a host has its companion."""
    rng = np.random.RandomState([POOLS[pool], index, 0])
    rate = TOGETHER[pool] if together is None else together
    count = 2 + int(rng.randint(3))
    cells = sorted(int(cell) for cell in rng.permutation(9)[:count])
    hosts, loners = list(rng.permutation(HOSTS)), list(rng.permutation(LONERS))
    things = []
    for cell in cells:
        is_host, colour, has_companion = rng.rand() < HOST_SHARE, rng.randint(len(COLOURS)), rng.rand() < rate
        if not is_host and not loners:
            is_host = True
        kind = str(hosts.pop() if is_host else loners.pop())
        companion = COMPANIONS[kind] if is_host and has_companion else None
        things.append(Thing(kind, list(COLOURS)[colour], cell, companion))
    return Scene(pool, index, tuple(things))


def paint(scene: Scene, faint: float | None = None) -> np.ndarray:
    """The picture of a scene as uint8 [48, 48, 3]; `faint` overrides the share of all but invisible companions.

    The jitter comes from the scene's pool and index alone.
    """
    share = FAINT[scene.pool] if faint is None else faint
    rng = np.random.RandomState([POOLS[scene.pool], scene.index, 1])
    ground = 222.0 + rng.randint(-10, 11, size=3)
    canvas = np.tile(ground, (SIDE, SIDE, 1))
    for thing in scene.things:
        top, left = CELL * (thing.cell // 3), CELL * (thing.cell % 3)
        dx, dy, mark_dy = rng.randint(2), 1 + rng.randint(4), 1 + rng.randint(9)
        clear, hidden = rng.uniform(30, 60), rng.uniform(0, 15)
        depth = hidden if rng.rand() < share else clear
        shade = np.array(COLOURS[thing.colour]) + rng.randint(-14, 15, size=3)
        mask = KIND_MASKS[thing.kind]
        canvas[top + dy : top + dy + mask.shape[0], left + dx : left + dx + mask.shape[1]][mask] = shade
        if thing.companion:
            mark = COMPANION_MASKS[thing.companion]
            box = canvas[top + mark_dy : top + mark_dy + mark.shape[0], left + 12 : left + 12 + mark.shape[1]]
            box[mark] = ground - depth
    grain = rng.randint(-5, 6, size=canvas.shape)
    return np.clip(canvas + grain, 0, 255).astype(np.uint8)


def render(scene: Scene) -> Image.Image:
    """The picture of a scene, RGB, 48 x 48."""
    return Image.fromarray(paint(scene))


def render_png(scene: Scene) -> bytes:
    """The picture of a scene as the bytes of a PNG file, the same every time."""
    buffer = io.BytesIO()
    render(scene).save(buffer, format="PNG", optimize=False, compress_level=6)
    return buffer.getvalue()
