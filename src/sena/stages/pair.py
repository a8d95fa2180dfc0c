"""A finished row becomes two pairs: the two descriptions and the two answers."""

from __future__ import annotations

from collections.abc import Sequence

from sena import ids
from sena.records import Pair, PairKind, Row
from sena.seeds import derive
from sena.stages.base import Context
from sena.stages.config import CorruptionConfig, StagesConfig
from sena.stages.reject import corruption_of


def pairs_of(row: Row, context: Context, config: StagesConfig) -> tuple[Pair, ...]:
    """Description pair (unless descriptions are switched off) and answer pair, unfiltered. The prompt of each is the
    one its rejected text was made under."""
    kinds: tuple[PairKind, ...] = ("description", "answer") if config.describe.enabled else ("answer",)
    return tuple(_pair(row, context, config.corruption, kind) for kind in kinds)


def thinned(pairs: Sequence[Pair], most: int | None, seed: int) -> list[Pair]:
    """`most` of the pairs, in their order. Each pair's id alone says whether it goes before another, so that the order
    and the number of the others do not matter."""
    drawn = sorted(pairs, key=lambda pair: derive(seed, "thinned", pair.id))[:most]
    kept = {pair.id for pair in drawn}
    return [pair for pair in pairs if pair.id in kept]


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
