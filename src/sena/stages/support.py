"""How much the picture supports an answer: its log-probability a token on the clean picture, minus that on the spoiled.

An answer that the model gives as readily without seeing the picture says nothing about it. The same number ranks
samples, judges pairs, and serves as a score without labels. RLAIF-V (Yu et al. 2024) ranks samples with the help of an
open model, CSR (Zhou et al. 2024) with that of a picture encoder; here the policy alone is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sena.images.kinds import shown
from sena.records import Again, Drop, PairKind, Reply, Request, Row, Score
from sena.seeds import derive
from sena.stages.asking import Asking, cut_with
from sena.stages.base import Context
from sena.stages.config import AnswerConfig, CorruptionConfig, DescribeConfig, SamplesConfig
from sena.stages.reject import corruption_of

KINDS: tuple[PairKind, ...] = ("description", "answer")


def _prompt(row: Row, kind: PairKind) -> str:
    return row.answer_prompt if kind == "answer" else row.describe_prompt


@dataclass(frozen=True, slots=True)
class Scoring:
    """What is asked about a text: its log-probability on the clean picture, then on the spoiled one."""

    stage: str
    corruption: CorruptionConfig

    def requests(self, row: Row, context: Context, kind: PairKind, texts: Sequence[str]) -> list[Request]:
        spoiled = corruption_of(row, context, self.corruption, kind)
        image = shown(row.image_id, spoiled, context.images)
        asked: list[Request] = []
        for number, text in enumerate(texts):
            clean = Asking(self.stage, f"{kind}/{number}/clean").request(row, context, _prompt(row, kind), 1)
            dim = Asking(self.stage, f"{kind}/{number}/spoiled").request(row, context, _prompt(row, kind), 1)
            asked += [replace(clean, answer=text), replace(dim, answer=text, image=image, corruption=spoiled)]
        return asked


def supports(scores: Sequence[Score]) -> list[float]:
    """Nats a token for each text, from its scores on the clean and on the spoiled picture in turn."""
    return [clean.mean - spoiled.mean for clean, spoiled in zip(scores[::2], scores[1::2], strict=True)]


@dataclass(frozen=True, slots=True)
class Support:
    """Measures the chosen answers, for the filter `unsupported` and for whoever reads the tables."""

    corruption: CorruptionConfig
    name: str = "support"
    reads: tuple[str, ...] = (
        *("id", "image_id", "number", "describe_prompt", "answer_prompt", "enhanced_description", "enhanced_answer"),
    )
    writes: tuple[str, ...] = ("support_description", "support_answer")

    def ask(self, row: Row, context: Context) -> Sequence[Request]:
        scoring = Scoring(self.name, self.corruption)
        return [
            *scoring.requests(row, context, "description", [row.enhanced_description]),
            *scoring.requests(row, context, "answer", [row.enhanced_answer]),
        ]

    def take(self, row: Row, replies: Sequence[Score], context: Context) -> Sequence[Row] | Drop | Again:
        description, answer = supports(replies)
        return [replace(row, support_description=description, support_answer=answer)]


@dataclass(frozen=True, slots=True)
class Sample:
    """Several answers to each of the row's two prompts, drawn by chance on the clean picture."""

    describe: DescribeConfig
    answer: AnswerConfig
    samples: SamplesConfig
    name: str = "sample"
    reads: tuple[str, ...] = ("id", "image_id", "number", "describe_prompt", "answer_prompt", "cut")
    writes: tuple[str, ...] = ("sampled_descriptions", "sampled_answers", "cut")

    def ask(self, row: Row, context: Context) -> Sequence[Request]:
        return [self._request(row, context, kind, number) for kind in KINDS for number in range(self.samples.count)]

    def take(self, row: Row, replies: Sequence[Reply], context: Context) -> Sequence[Row] | Drop | Again:
        """A sample that was cut is no candidate; a prompt all of whose samples were cut keeps them, marked as cut."""
        count = self.samples.count
        descriptions, answers = _whole(replies[:count]), _whole(replies[count:])
        cut = cut_with(row, {"sampled_description": descriptions[0], "sampled_answer": answers[0]})
        return [
            replace(
                row,
                sampled_descriptions=tuple(reply.text.strip() for reply in descriptions),
                sampled_answers=tuple(reply.text.strip() for reply in answers),
                cut=cut,
            )
        ]

    def _request(self, row: Row, context: Context, kind: PairKind, number: int) -> Request:
        limit = (self.answer if kind == "answer" else self.describe).max_new_tokens
        request = Asking(self.name, f"{kind}/{number}").request(row, context, _prompt(row, kind), limit)
        return replace(request, temperature=self.samples.temperature)


def _whole(replies: Sequence[Reply]) -> list[Reply]:
    return [reply for reply in replies if reply.finished] or list(replies)


@dataclass(frozen=True, slots=True)
class Rank:
    """The sample that the picture supports most becomes the chosen answer, the one that it supports least the rejected
    one (or the answer on the spoiled picture does, `samples.rejected: spoiled`). Ties go to the seed."""

    corruption: CorruptionConfig
    samples: SamplesConfig
    name: str = "rank"
    reads: tuple[str, ...] = (
        *("id", "image_id", "number", "describe_prompt", "answer_prompt", "sampled_descriptions", "sampled_answers"),
        "cut",
    )
    writes: tuple[str, ...] = (
        *("enhanced_description", "enhanced_answer", "rejected_description", "rejected_answer", "cut"),
        *("support_description", "support_answer"),
    )

    def ask(self, row: Row, context: Context) -> Sequence[Request]:
        scoring = Scoring(self.name, self.corruption)
        return [
            *scoring.requests(row, context, "description", row.sampled_descriptions),
            *scoring.requests(row, context, "answer", row.sampled_answers),
        ]

    def take(self, row: Row, replies: Sequence[Score], context: Context) -> Sequence[Row] | Drop | Again:
        found = supports(replies)
        border = len(row.sampled_descriptions)
        described = self._ends(row, context, "description", row.sampled_descriptions, found[:border])
        answered = self._ends(row, context, "answer", row.sampled_answers, found[border:])
        cut = [f"enhanced_{kind}" for kind in KINDS if f"sampled_{kind}" in row.cut]
        return [
            replace(
                row,
                enhanced_description=described[1],
                enhanced_answer=answered[1],
                rejected_description=described[0],
                rejected_answer=answered[0],
                support_description=max(found[:border]),
                support_answer=max(found[border:]),
                cut=(*row.cut, *cut),
            )
        ]

    def _ends(
        self, row: Row, context: Context, kind: str, texts: Sequence[str], found: Sequence[float]
    ) -> tuple[str, str]:
        """The least and the most supported text."""

        def key(place: int) -> tuple[float, int]:
            return found[place], derive(context.run_seed, context.round, row.image_id, row.number, kind, place)

        order = sorted(range(len(texts)), key=key)
        return texts[order[0]], texts[order[-1]]
