"""LLaMA-Factory: ShareGPT turns, ranked, with a `dataset_info.json` that names the columns.

Source: its data/README.md. The number of `<image>` over all turns and answers has to equal the number of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sena import files
from sena.formats.example import IMAGE, Example, Json, ReadImage, image_of, kind_of, message_of, without_placeholder
from sena.formats.folder import write_images, write_records
from sena.records import Pair

TITLE = "LLaMA-Factory"
COLUMNS = ("conversations", "chosen", "rejected", "images")
KEYS = ("from", "value")
INFO = {
    "sena": {
        "file_name": "pairs.json",
        "formatting": "sharegpt",
        "ranking": True,
        "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected", "images": "images"},
    }
}


def write(pairs: Sequence[Pair], read_image: ReadImage, folder: Path) -> None:
    """`pairs.json`, `dataset_info.json` (the data set is called `sena`) and `images/`."""
    images = write_images(pairs, read_image, folder)
    write_records(folder / "pairs.json", [_record(pair, images[pair.image_id]) for pair in pairs])
    files.write_json(folder / "dataset_info.json", INFO)


def parse(record: Json, where: str) -> Example:
    """Raises SenaError naming what is wrong with the row."""
    (prompt,) = message_of(record["conversations"], ("human",), KEYS, where)
    (chosen,) = message_of([record["chosen"]], ("gpt",), KEYS, where)
    (rejected,) = message_of([record["rejected"]], ("gpt",), KEYS, where)
    image = image_of(record["images"], where)
    return Example(where, image, kind_of(record), without_placeholder(prompt, where), chosen, rejected)


def _record(pair: Pair, image: str) -> Json:
    return {
        "id": pair.id,
        "type": pair.kind,
        "conversations": [{"from": "human", "value": IMAGE + pair.prompt}],
        "chosen": {"from": "gpt", "value": pair.chosen},
        "rejected": {"from": "gpt", "value": pair.rejected},
        "images": [image],
    }
