"""Self-questioning, second half: the model sees the picture and its question, and keeps it or asks another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sena import ids
from sena.records import Again, Drop, Reply, Request, Row
from sena.stages.asking import Asking, cut_with
from sena.stages.base import Context
from sena.stages.config import CheckConfig
from sena.text import after_label, fill, normalise, questions


@dataclass(frozen=True, slots=True)
class Check:
    """A question stands when the model, looking at the picture, returns it unchanged (up to case and marks).

    The paper lets the model judge whether the picture answers the question. The released code asks without the
    picture and takes whatever comes back after one pass; here another question is checked in its turn.
    `stride` is the number of questions asked of a picture: it keeps the numbers of added rows apart.
    """

    config: CheckConfig
    stride: int = 1
    name: str = "check"
    reads: tuple[str, ...] = ("id", "image_id", "number", "question", "asked")
    writes: tuple[str, ...] = ("id", "number", "question", "asked", "cut")

    def ask(self, row: Row, context: Context) -> Sequence[Request]:
        attempt = len(row.asked) - 1
        prompt = fill(self.config.prompt, question=row.question)
        request = Asking(self.name, "question", attempt).request(row, context, prompt, self.config.max_new_tokens)
        image = None if self.config.blind else row.image_id
        return [replace(request, image=image, temperature=self.config.temperature)]

    def take(self, row: Row, replies: Sequence[Reply], context: Context) -> Sequence[Row] | Drop | Again:
        (reply,) = replies
        found = self._questions(reply.text.strip())
        row = replace(row, cut=cut_with(row, {"question": reply}))
        if not found:
            return Drop("no question in check", reply.text)
        if any(text in reply.text for text in self.config.banned):
            return Drop("banned text", reply.text)
        if normalise(found[0]) == normalise(row.question):
            return self._rows(row, [row.question, *found[1:]])
        return self._another(row, found)

    def _another(self, row: Row, found: list[str]) -> Sequence[Row] | Drop | Again:
        """Check the other question too, within the bound; one that was turned down before would only go in circles."""
        circling = normalise(found[0]) in map(normalise, row.asked)
        spent = len(row.asked) > self.config.max_regenerations
        asked = (*row.asked, found[0])
        if not (circling or spent):
            return Again(replace(row, question=found[0], asked=asked))
        if self.config.on_unsettled == "keep_last":
            return self._rows(replace(row, asked=asked), found)
        return Drop("not settled", " | ".join(asked))

    def _rows(self, row: Row, found: list[str]) -> list[Row]:
        """The row with the first question; under `keep: all` a row of its own for each further one."""
        if self.config.keep == "first":
            found = found[:1]
        rows = [replace(row, question=found[0])]
        for place, question in enumerate(found[1:], start=1):
            number = row.number + self.stride * place
            rows.append(replace(row, id=ids.child(row.image_id, "row", number), number=number, question=question))
        return rows

    def _questions(self, text: str) -> list[str]:
        if self.config.labels == "tolerant":
            return questions(after_label(text, self.config.label) or text)
        pieces = re.split(r"(?<=[.!?])\s+", text)
        return [piece.replace(f"{self.config.label} ", "") for piece in pieces if piece.endswith("?")]
