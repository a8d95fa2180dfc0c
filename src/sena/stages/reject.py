"""The spoiled half of a pair: the same two prompts on the corrupted picture, or on another or none at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sena.images.kinds import KINDS, shown
from sena.records import Again, Corruption, Drop, PairKind, Reply, Request, Row
from sena.seeds import derive, pick
from sena.stages.asking import Asking, cut_with
from sena.stages.base import Context
from sena.stages.config import AnswerConfig, CorruptionConfig, DescribeConfig
from sena.text import join


def corruption_of(row: Row, context: Context, config: CorruptionConfig, kind: PairKind) -> Corruption:
    """One draw for a picture in a round, so that any row can be made again; the released code draws for each answer
    anew and keeps no seed."""
    what = ("corruption",) if config.draws == "per_image" else ("corruption", row.number, kind)
    seed = derive(context.run_seed, context.round, row.image_id, *what)
    return Corruption(config.kind, _strength(row, context, config), seed)


def _strength(row: Row, context: Context, config: CorruptionConfig) -> float:
    if config.strength_from is None:
        return config.strength
    share = pick(10_001, context.run_seed, context.round, row.image_id, "strength") / 10_000
    drawn = config.strength_from + share * (config.strength - config.strength_from)
    return float(round(drawn)) if KINDS[config.kind].whole else drawn


@dataclass(frozen=True, slots=True)
class Reject:
    """Rejected answers are taken as they come: never enhanced, as in paper and released code."""

    describe: DescribeConfig
    answer: AnswerConfig
    corruption: CorruptionConfig
    name: str = "reject"
    reads: tuple[str, ...] = ("id", "image_id", "number", "describe_prompt", "answer_prompt")
    writes: tuple[str, ...] = ("rejected_description", "rejected_answer", "cut")

    def ask(self, row: Row, context: Context) -> Sequence[Request]:
        asked = [self._request(row, context, "answer", row.answer_prompt, self.answer.max_new_tokens)]
        if self.describe.enabled:
            limit = self.describe.max_new_tokens
            asked.insert(0, self._request(row, context, "description", row.describe_prompt, limit))
        return asked

    def take(self, row: Row, replies: Sequence[Reply], context: Context) -> Sequence[Row] | Drop | Again:
        description, answer = replies if self.describe.enabled else (Reply("", ""), replies[0])
        return [
            replace(
                row,
                rejected_description=description.text.strip(),
                rejected_answer=answer.text.strip(),
                cut=cut_with(row, {"rejected_description": description, "rejected_answer": answer}),
            )
        ]

    def _request(self, row: Row, context: Context, kind: PairKind, prompt: str, limit: int) -> Request:
        prefix = self.corruption.prefix
        request = Asking(self.name, kind).request(row, context, join(prefix, prompt) if prefix else prompt, limit)
        spoiled = corruption_of(row, context, self.corruption, kind)
        image = shown(row.image_id, spoiled, context.images)
        return replace(request, image=image, corruption=spoiled, temperature=self.corruption.temperature)
