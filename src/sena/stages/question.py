"""Self-questioning, first half: the model asks a question about the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sena.records import Again, Drop, Reply, Request, Row
from sena.stages.asking import Asking, cut_with
from sena.stages.base import Context
from sena.stages.config import QuestionConfig
from sena.text import after_label, questions


@dataclass(frozen=True, slots=True)
class Question:
    """One question a row, as in the paper. The released code hands the whole reply on unread (`keep: whole`)."""

    config: QuestionConfig
    name: str = "question"
    reads: tuple[str, ...] = ("id", "image_id", "number")
    writes: tuple[str, ...] = ("question", "asked", "cut")

    def ask(self, row: Row, context: Context) -> Sequence[Request]:
        """Prompts are used in turn, so that the questions of one picture differ even without chance."""
        prompt = self.config.prompts[row.number % len(self.config.prompts)]
        request = Asking(self.name, "question").request(row, context, prompt, self.config.max_new_tokens)
        return [replace(request, temperature=self.config.temperature)]

    def take(self, row: Row, replies: Sequence[Reply], context: Context) -> Sequence[Row] | Drop | Again:
        (reply,) = replies
        question = self._question(reply.text.strip())
        if not question:
            return Drop("no question", reply.text)
        return [replace(row, question=question, asked=(question,), cut=cut_with(row, {"question": reply}))]

    def _question(self, text: str) -> str:
        if self.config.keep == "whole":
            return text
        found = questions(after_label(text, self.config.label) or text)
        return found[0] if found else ""
