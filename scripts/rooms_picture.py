"""The rooms as a picture, drawn from the contract that import-linter checks, so that it cannot be wrong."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

WIDTH, HIGH, GAP = 720, 44, 8  # pixels: of the picture, of a floor, between rooms
STYLE = (
    "rect.wall{fill:#fff} rect.room{fill:#e0f2f1;stroke:#00796b} rect.ground{fill:#eceff1;stroke:#78909c} "
    "text{font:14px sans-serif;fill:#212121;text-anchor:middle} text.side{fill:#757575}"
)


def picture() -> str:
    """An SVG, floors from top to bottom as in pyproject.toml, rooms side by side."""
    floors = _floors()
    height = len(floors) * (HIGH + GAP) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>Floors and rooms: a room imports only from floors below its own</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="wall" width="{WIDTH}" height="{height}" rx="8"/>',
    ]
    for place, rooms in enumerate(floors):
        is_ground = place == len(floors) - 1
        parts += _floor(["  ".join(rooms)] if is_ground else rooms, len(floors) - 1 - place, GAP + place * (HIGH + GAP))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _floors() -> list[list[str]]:
    settings = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    return [[room.strip().removeprefix("sena.") for room in layer.replace(":", "|").split("|")] for layer in layers]


def _floor(rooms: Sequence[str], number: int, top: int) -> list[str]:
    left, middle = 40, top + HIGH / 2 + 5
    wide = (WIDTH - left - GAP * len(rooms)) / len(rooms)
    parts = [f'<text class="side" x="{left / 2}" y="{middle}">{number}</text>']
    for place, room in enumerate(rooms):
        x = left + place * (wide + GAP)
        kind = "ground" if number == 0 else "room"
        parts.append(f'<rect class="{kind}" x="{x:g}" y="{top}" width="{wide:g}" height="{HIGH}" rx="5"/>')
        parts.append(f'<text x="{x + wide / 2:g}" y="{middle}">{room}</text>')
    return parts
