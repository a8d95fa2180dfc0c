"""LLaVA's conversations with a second one that was rejected, as POVID and CSR keep their preferences.

Source: LLaVA's docs/Finetune_Custom_Data.md; `rejected_conversations` as in POVID's training script.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sena.errors import SenaError
from sena.formats.example import IMAGE, Example, Json, ReadImage, image_of, kind_of, message_of, without_placeholder
from sena.formats.folder import write_images, write_records
from sena.records import Pair

TITLE = "LLaVA"
COLUMNS = ("image", "conversations", "rejected_conversations")
KEYS = ("from", "value")
ROLES = ("human", "gpt")


def write(pairs: Sequence[Pair], read_image: ReadImage, folder: Path) -> None:
    """`pairs.json` and `images/`."""
    images = write_images(pairs, read_image, folder)
    write_records(folder / "pairs.json", [_record(pair, images[pair.image_id]) for pair in pairs])


def parse(record: Json, where: str) -> Example:
    """Raises SenaError naming what is wrong with the row."""
    prompt, chosen = message_of(record["conversations"], ROLES, KEYS, where)
    other, rejected = message_of(record["rejected_conversations"], ROLES, KEYS, where)
    if other != prompt:
        raise SenaError(f"{where}: the two conversations ask different things: mend the row or leave it out")
    image = image_of(record["image"], where)
    return Example(where, image, kind_of(record), without_placeholder(prompt, where), chosen, rejected)


def _record(pair: Pair, image: str) -> Json:
    return {
        "id": pair.id,
        "type": pair.kind,
        "image": image,
        "conversations": _turns(pair.prompt, pair.chosen),
        "rejected_conversations": _turns(pair.prompt, pair.rejected),
    }


def _turns(prompt: str, answer: str) -> list[Json]:
    return [{"from": "human", "value": f"{IMAGE}\n{prompt}"}, {"from": "gpt", "value": answer}]
