"""Answer self-enhancement: the model betters its answer with its own description at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sena.records import Again, Drop, Reply, Request, Row
from sena.stages.answer import describe_request
from sena.stages.asking import Asking
from sena.stages.base import Context
from sena.stages.config import DescribeConfig, EnhanceConfig
from sena.text import after_label, fill


@dataclass(frozen=True, slots=True)
class Enhance:
    """Fills `enhanced_*`, which become the chosen answers: the better answer, or the plain one where none is read.

    As in the paper only answers are enhanced; the released code does it to descriptions as well, with the suffixed
    question in the prompt. A chosen answer is cut when the reply that it was read from is.
    """

    config: EnhanceConfig
    describe: DescribeConfig
    name: str = "enhance"
    reads: tuple[str, ...] = (
        *("id", "image_id", "number", "question", "describe_prompt", "answer_prompt", "description", "answer", "cut"),
    )
    writes: tuple[str, ...] = ("enhanced_description", "enhanced_answer", "cut")

    def ask(self, row: Row, context: Context) -> Sequence[Request]:
        if not self.config.enabled:
            return []
        with_suffix = self.config.with_suffix
        question = row.answer_prompt if with_suffix else row.question
        requests = [self._request(row, context, "answer", self._prompt(row, question, row.answer))]
        if self.config.descriptions:
            asked = row.describe_prompt if with_suffix else describe_request(row, context, self.describe)
            requests.append(self._request(row, context, "description", self._prompt(row, asked, row.description)))
        return requests

    def take(self, row: Row, replies: Sequence[Reply], context: Context) -> Sequence[Row] | Drop | Again:
        answer, answer_cut = row.answer, "answer" in row.cut
        description, description_cut = row.description, "description" in row.cut
        if replies:
            answer, answer_cut = self._better(replies[0], answer, answer_cut)
        if len(replies) > 1:
            description, description_cut = self._better(replies[1], description, description_cut)
        cut = [*row.cut]
        cut += ["enhanced_description"] if description_cut else []
        cut += ["enhanced_answer"] if answer_cut else []
        return [replace(row, enhanced_description=description, enhanced_answer=answer, cut=tuple(cut))]

    def _request(self, row: Row, context: Context, part: str, prompt: str) -> Request:
        return Asking(self.name, part).request(row, context, prompt, self.config.max_new_tokens)

    def _prompt(self, row: Row, question: str, answer: str) -> str:
        if self.config.yes_prompt is not None and row.description in ("Yes", "yes"):
            return fill(self.config.yes_prompt, question=question, answer=answer)
        return fill(self.config.prompt, description=row.description, question=question, answer=answer)

    def _better(self, reply: Reply, plain: str, plain_cut: bool) -> tuple[str, bool]:
        """What the reply makes of the plain answer, and whether that text is cut."""
        text, label = reply.text.strip(), self.config.label
        if self.config.labels == "exact":
            better = text.replace(f"{label} ", "") if text.startswith(label) else ""
        else:
            better = after_label(text, label)
        return (better, not reply.finished) if better else (plain, plain_cut)
