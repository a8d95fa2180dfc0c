"""One preference as a file of another program holds it, and what every layout asks of its parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sena import ids
from sena.errors import SenaError
from sena.images.sources import is_text
from sena.records import Pair, PairKind

Json = dict[str, Any]
ReadImage = Callable[[str], bytes]
"""The file of an image id."""

IMAGE = "<image>"
PLACEHOLDERS = (IMAGE, "<video>", "<audio>")
"""What the other programs replace by a picture, a film or a sound wherever they find it in a text."""


@dataclass(frozen=True, slots=True)
class Example:
    """Two answers to one prompt. `image` is a path in the file's source, `where` names file and row for errors."""

    where: str
    image: str
    kind: PairKind
    prompt: str
    chosen: str
    rejected: str

    def pair(self, image_id: str, repeat: int = 0) -> Pair:
        """The pair, its id made of its content; `repeat` counts equal ones, so that each keeps an id of its own."""
        lineage = ids.of_bytes(json.dumps([image_id, self.kind, self.prompt, self.chosen, self.rejected]).encode())
        return Pair(
            ids.child(lineage, "imported", repeat),
            lineage,
            image_id,
            self.kind,
            self.prompt,
            self.chosen,
            self.rejected,
            plain=self.chosen,
        )


def kind_of(record: Json) -> PairKind:
    """What the file says of the row: `des` in the released files, `description` in ours. All else is an answer."""
    return "description" if record.get("type") in ("des", "description") else "answer"


def text_of(record: Json, name: str, where: str) -> str:
    """A text that is there, is not empty and can be stored. Raises SenaError."""
    value = record.get(name)
    if not isinstance(value, str) or not value.strip():
        raise SenaError(f"{where}: `{name}` has to be a text that is not empty: mend the row or leave it out")
    if not is_text(value):
        raise SenaError(f"{where}: `{name}` holds half a character (a lone surrogate): mend the row or leave it out")
    return value


def message_of(turns: Any, roles: tuple[str, ...], keys: tuple[str, str], where: str) -> list[str]:
    """The texts of a conversation that has exactly these roles. `keys` name the role and the text of a turn.

    Raises SenaError for any other conversation.
    """
    role, content = keys
    wanted = " and ".join(roles)
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise SenaError(f"{where}: a conversation is a list of objects with `{role}` and `{content}`, here it is not")
    found = tuple(str(turn.get(role)) for turn in turns)
    if found != roles:
        told = ", ".join(found[:6]) or "none"
        raise SenaError(f"{where}: the turns are {told}, and sena takes {wanted} alone: leave the row out")
    return [text_of(turn, content, where) for turn in turns]


def image_of(value: Any, where: str) -> str:
    """The one picture's path, from a path or a list of one. Raises SenaError for none, several and anything else."""
    paths = [value] if isinstance(value, str) else value
    if not isinstance(paths, list) or not all(isinstance(path, str) and path for path in paths):
        raise SenaError(f"{where}: a picture is named by its path, here it is not: write paths")
    if len(paths) != 1:
        raise SenaError(f"{where}: there are {len(paths)} pictures, and sena takes one a pair: leave the row out")
    if not is_text(paths[0]):
        raise SenaError(f"{where}: the picture's path is no text: rename the file")
    return paths[0]


def without_placeholder(prompt: str, where: str, least: int = 1) -> str:
    """The prompt's words without `<image>` and the line break beside it.

    Raises SenaError unless there is one placeholder (or none, where `least` is 0), before or behind the words.
    """
    count = prompt.count(IMAGE)
    if not least <= count <= 1:
        raise SenaError(
            f"{where}: one picture and {count} times {IMAGE} in the prompt do not fit: mend the row or leave it out"
        )
    bare = prompt.removeprefix(f"{IMAGE}\n").removeprefix(IMAGE).removesuffix(f"\n{IMAGE}").removesuffix(IMAGE)
    if IMAGE in bare:
        raise SenaError(f"{where}: {IMAGE} stands amid the prompt, and sena shows the picture first: move it there")
    if not bare.strip():
        raise SenaError(f"{where}: the prompt is nothing but {IMAGE}: mend the row or leave it out")
    return bare
