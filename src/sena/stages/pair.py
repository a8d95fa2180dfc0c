"""A finished row becomes two pairs: the two descriptions and the two answers."""

from __future__ import annotations

from sena import ids
from sena.records import Pair, PairKind, Row
from sena.stages.base import Context
from sena.stages.config import CorruptionConfig, StagesConfig
from sena.stages.reject import corruption_of


def pairs_of(row: Row, context: Context, config: StagesConfig) -> tuple[Pair, Pair]:
    """Description pair and answer pair, unfiltered. The prompt of each is the one its rejected text was made under."""
    return _pair(row, context, config.corruption, "description"), _pair(row, context, config.corruption, "answer")


def is_cut(row: Row, kind: PairKind) -> bool:
    """Whether one of the pair's two texts ran into the token limit, so that it has no end to learn."""
    return f"enhanced_{kind}" in row.cut or f"rejected_{kind}" in row.cut


def _pair(row: Row, context: Context, config: CorruptionConfig, kind: PairKind) -> Pair:
    is_answer = kind == "answer"
    spoiled = corruption_of(row, context, config, kind)
    return Pair(
        id=ids.child(row.id, kind),
        row_id=row.id,
        image_id=row.image_id,
        kind=kind,
        prompt=row.answer_prompt if is_answer else row.describe_prompt,
        chosen=row.enhanced_answer if is_answer else row.enhanced_description,
        rejected=row.rejected_answer if is_answer else row.rejected_description,
        plain=row.answer if is_answer else row.description,
        corruption=spoiled.kind,
        strength=spoiled.strength,
        corruption_seed=spoiled.seed,
        support=row.support_answer if is_answer else row.support_description,
    )
