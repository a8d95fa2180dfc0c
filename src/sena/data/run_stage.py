"""Takes rows through one stage: ask about all at once, sort what comes back, ask again where needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sena.engines.base import Engine, OpenImage
from sena.errors import ImageError
from sena.records import Again, Drop, Pair, Reply, Request, Row, Score
from sena.stages.base import Context, Stage


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row or pair that ended: where, why, and what it held. `kind` is `image`, `row`, `description` or `answer`."""

    id: str
    image_id: str
    kind: str
    stage: str
    reason: str
    detail: str = ""
    prompt: str = ""
    chosen: str = ""
    rejected: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """A reply as the engine gave it, beside what was asked: kept so that every parsed text can be traced."""

    id: str
    image_id: str
    stage: str
    prompt: str
    text: str
    finished: bool
    tokens: int
    corruption: str = ""
    strength: float = 0.0
    corruption_seed: int = 0
    stable: bool | None = None
    score: float | None = None
    """Log-probability a token, where the text was not generated but scored."""


@dataclass(slots=True)
class Outcome:
    """What a stage made of its rows."""

    rows: list[Row] = field(default_factory=list)
    drops: list[Dropped] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)


def dropped_pair(pair: Pair, stage: str, reason: str) -> Dropped:
    """A pair that is not learned from, with what it held."""
    return Dropped(pair.id, pair.image_id, pair.kind, stage, reason, "", pair.prompt, pair.chosen, pair.rejected)


def run_stage(
    stage: Stage, rows: Sequence[Row], engine: Engine, open_image: OpenImage, context: Context, most: int = 64
) -> Outcome:
    """All `rows` through `stage`, in waves: each wave is one call of the engine, and only rows sent back go on.

    A stage bounds its own repetitions; `most` waves are the limit of a stage that forgets to.
    """
    outcome = Outcome()
    waiting = list(rows)
    for _ in range(most):
        if not waiting:
            break
        waiting, asked = _askable(stage, waiting, open_image, outcome, context)
        flat = [request for requests in asked for request in requests]
        replies = _answered(engine, flat, open_image)
        outcome.said += [_said(stage.name, *each) for each in zip(flat, replies, strict=True)]
        waiting = _sort(stage, waiting, _split(replies, [len(requests) for requests in asked]), outcome, context)
    for row in waiting:
        outcome.drops.append(_dropped(stage.name, row, Drop("asked too often")))
    return outcome


def _askable(
    stage: Stage, rows: list[Row], open_image: OpenImage, outcome: Outcome, context: Context
) -> tuple[list[Row], list[list[Request]]]:
    """The rows and what is asked about each. A row ends that shows another picture than its own (`other_image`) which
    can no longer be read: its own was opened before the first stage, but that one may belong to another shard."""
    kept: list[Row] = []
    asked: list[list[Request]] = []
    faults: dict[str, str] = {}
    for row in rows:
        requests = list(stage.ask(row, context))
        others = {request.image for request in requests if request.image not in (None, row.image_id)}
        for other in sorted(others - faults.keys()):
            faults[other] = _fault(other, open_image)
        wrong = next((f"{other}: {faults[other]}" for other in sorted(others) if faults[other]), "")
        if wrong:
            outcome.drops.append(_dropped(stage.name, row, Drop("other image unreadable", wrong)))
        else:
            kept.append(row)
            asked.append(requests)
    return kept, asked


def _fault(image: str, open_image: OpenImage) -> str:
    """Why a picture cannot be read, or nothing."""
    try:
        open_image(image)
    except ImageError as error:
        return str(error)
    return ""


def _answered(engine: Engine, requests: list[Request], open_image: OpenImage) -> Sequence[Reply | Score]:
    """Texts for requests that ask for one, scores for those that bring one."""
    if not requests:
        return []
    work = engine.generate if requests[0].answer is None else engine.score
    return work(requests, open_image)


def _sort(
    stage: Stage, rows: list[Row], replies: list[list[Reply | Score]], outcome: Outcome, context: Context
) -> list[Row]:
    """Put what the stage says of each row where it belongs; the rows to ask again are returned."""
    again = []
    for row, said in zip(rows, replies, strict=True):
        match stage.take(row, said, context):
            case Drop() as drop:
                outcome.drops.append(_dropped(stage.name, row, drop))
            case Again() as more:
                again.append(more.row)
            case kept:
                outcome.rows += kept
    return again


def _split(replies: Sequence[Reply | Score], sizes: list[int]) -> list[list[Reply | Score]]:
    places = iter(replies)
    return [[next(places) for _ in range(size)] for size in sizes]


def _dropped(stage: str, row: Row, drop: Drop) -> Dropped:
    return Dropped(row.id, row.image_id, "row", stage, drop.reason, drop.detail, prompt=row.question)


def _said(stage: str, request: Request, reply: Reply | Score) -> Said:
    """A score is kept as the text that it is of, with its log-probability a token."""
    spoiled = request.corruption
    scored = isinstance(reply, Score)
    return Said(
        id=request.id,
        image_id=request.image or "",
        stage=stage,
        prompt=request.prompt,
        text=(request.answer or "") if scored else reply.text,
        finished=True if scored else reply.finished,
        tokens=reply.tokens if scored else len(reply.tokens),
        corruption=spoiled.kind if spoiled else "",
        strength=spoiled.strength if spoiled else 0.0,
        corruption_seed=spoiled.seed if spoiled else 0,
        stable=None if scored else reply.stable,
        score=reply.mean if scored else None,
    )
