"""ms-swift: one JSON object a line, the chosen answer as the last message, the rejected one beside the messages.

Source: its docs/source_en/Customization/Custom-dataset.md. Picture paths are relative to ROOT_IMAGE_DIR.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sena.formats.example import (
    IMAGE,
    Example,
    Json,
    ReadImage,
    image_of,
    kind_of,
    message_of,
    text_of,
    without_placeholder,
)
from sena.formats.folder import write_images, write_lines
from sena.records import Pair

TITLE = "ms-swift"
COLUMNS = ("messages", "rejected_response", "images")
KEYS = ("role", "content")


def write(pairs: Sequence[Pair], read_image: ReadImage, folder: Path) -> None:
    """`pairs.jsonl` and `images/`."""
    images = write_images(pairs, read_image, folder)
    write_lines(folder / "pairs.jsonl", [_record(pair, images[pair.image_id]) for pair in pairs])


def parse(record: Json, where: str) -> Example:
    """Raises SenaError naming what is wrong with the row."""
    prompt, chosen = message_of(record["messages"], ("user", "assistant"), KEYS, where)
    rejected = text_of(record, "rejected_response", where)
    image = image_of(record["images"], where)
    return Example(where, image, kind_of(record), without_placeholder(prompt, where), chosen, rejected)


def _record(pair: Pair, image: str) -> Json:
    return {
        "id": pair.id,
        "type": pair.kind,
        "messages": [{"role": "user", "content": IMAGE + pair.prompt}, {"role": "assistant", "content": pair.chosen}],
        "images": [image],
        "rejected_response": pair.rejected,
    }
