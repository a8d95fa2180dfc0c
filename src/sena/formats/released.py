"""The pair files of SENA's and SeVa's released code: `chosen`, `reject`, `question`, `image`, and in SENA's a `type`.

Only read. `type` is `des` for a description and `gen` for an answer; SeVa's files have none.
"""

from __future__ import annotations

from sena.formats.example import Example, Json, image_of, kind_of, text_of, without_placeholder

TITLE = "SENA or SeVa"
COLUMNS = ("question", "chosen", "reject", "image")


def parse(record: Json, where: str) -> Example:
    """The question may hold `<image>` or not. Raises SenaError naming what is wrong with the row."""
    prompt = without_placeholder(text_of(record, "question", where), where, least=0)
    chosen, rejected = text_of(record, "chosen", where), text_of(record, "reject", where)
    return Example(where, image_of(record["image"], where), kind_of(record), prompt, chosen, rejected)
