"""The clean half of a pair: describe the picture, answer the question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sena.records import Again, Drop, Reply, Request, Row
from sena.seeds import pick
from sena.stages.asking import Asking, cut_with
from sena.stages.base import Context
from sena.stages.config import AnswerConfig, DescribeConfig
from sena.text import join


def describe_request(row: Row, context: Context, config: DescribeConfig) -> str:
    """The row's request for a description, without suffix. The first of a picture is drawn by seed and the others
    follow it in order, so that two rows of one picture do not describe it twice in the same way."""
    start = pick(len(config.prompts), context.run_seed, context.round, row.image_id, "describe")
    return config.prompts[(start + row.number) % len(config.prompts)]


@dataclass(frozen=True, slots=True)
class Answer:
    """Two answers on the clean picture, or one where descriptions are switched off. The row keeps their prompts:
    rejected answers and training use the same."""

    describe: DescribeConfig
    answer: AnswerConfig
    name: str = "answer"
    reads: tuple[str, ...] = ("id", "image_id", "number", "question")
    writes: tuple[str, ...] = ("describe_prompt", "answer_prompt", "description", "answer", "cut")

    def ask(self, row: Row, context: Context) -> Sequence[Request]:
        describe, answer = self._prompts(row, context)
        asked = [Asking(self.name, "answer").request(row, context, answer, self.answer.max_new_tokens)]
        if self.describe.enabled:
            limit = self.describe.max_new_tokens
            asked.insert(0, Asking(self.name, "description").request(row, context, describe, limit))
        return asked

    def take(self, row: Row, replies: Sequence[Reply], context: Context) -> Sequence[Row] | Drop | Again:
        description, answer = replies if self.describe.enabled else (Reply("", ""), replies[0])
        describe_prompt, answer_prompt = self._prompts(row, context)
        return [
            replace(
                row,
                describe_prompt=describe_prompt,
                answer_prompt=answer_prompt,
                description=description.text.strip(),
                answer=answer.text.strip(),
                cut=cut_with(row, {"description": description, "answer": answer}),
            )
        ]

    def _prompts(self, row: Row, context: Context) -> tuple[str, str]:
        describe = join(describe_request(row, context, self.describe), self.describe.suffix)
        describe = describe if self.describe.enabled else ""
        return describe, join(row.question, self.answer.suffix)
