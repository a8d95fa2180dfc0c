"""What a sweep asks the model: its answers to whole pictures, then to spoiled ones, and how likely the former stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sena.data.run_stage import Dropped, run_stage
from sena.engines.base import Engine, OpenImage
from sena.errors import ImageError, SenaError
from sena.images.kinds import KINDS, shown
from sena.records import Corruption, Image, PairKind, Request, Row
from sena.seeds import derive
from sena.stages import StagesConfig, first_rows, make_stages
from sena.stages.base import Context


@dataclass(frozen=True, slots=True)
class Cell:
    """A kind of corruption at one strength."""

    kind: str
    strength: float

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.kind}-{self.strength:g}"


@dataclass(frozen=True, slots=True)
class Clean:
    """What the model says about a whole picture: `total` is the answer's log-probability, its end included."""

    id: str
    image_id: str
    kind: PairKind
    prompt: str
    answer: str
    total: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Spoiled:
    """What it says to the same prompt about the spoiled picture. `total` is still that of the clean answer."""

    id: str
    image_id: str
    kind: PairKind
    answer: str
    total: float
    corruption_seed: int


def cells(kinds: Sequence[str] = ()) -> list[Cell]:
    """Every strength on the ladders of these kinds, or of all. Raises SenaError for an unknown kind."""
    for kind in kinds:
        if kind not in KINDS:
            raise SenaError(f"There is no corruption {kind!r}: choose among {', '.join(KINDS)}")
    return [Cell(kind, strength) for kind in KINDS if not kinds or kind in kinds for strength in KINDS[kind].ladder]


def ask_clean(
    images: Sequence[Image], engine: Engine, open_image: OpenImage, config: StagesConfig, context: Context
) -> tuple[list[Clean], list[Dropped]]:
    """The run's own questions and its plain answers to them, with their log-probabilities; and the rows that ended."""
    rows, drops = _first(images, open_image, config, context)
    for stage in make_stages(config):
        outcome = run_stage(stage, rows, engine, open_image, context)
        rows = outcome.rows
        drops += outcome.drops
        if stage.name == "answer":
            break
    requests = [
        Request(f"{row.id}/{kind}", prompt, row.image_id, answer=answer)
        for row in rows
        for kind, prompt, answer in (
            ("description", row.describe_prompt, row.description),
            ("answer", row.answer_prompt, row.answer),
        )
    ]
    scores = engine.score(requests, open_image)
    return [_clean(request, score.total, score.tokens) for request, score in zip(requests, scores, strict=True)], drops


def ask_spoiled(
    clean: Sequence[Clean], cell: Cell, engine: Engine, open_image: OpenImage, config: StagesConfig, context: Context
) -> list[Spoiled]:
    """The same prompts on spoiled pictures, greedily, so that what differs is the picture's doing. What would show a
    picture that can no longer be read is left out. The draws are those of a run with the same seed."""
    asked: list[tuple[Clean, Request]] = []
    for each in clean:
        seed = derive(context.run_seed, context.round, each.image_id, "corruption")
        spoiled = Corruption(cell.kind, cell.strength, seed)
        image = shown(each.image_id, spoiled, context.images)
        if image is None or _can_be_read(image, open_image):
            limit = (config.describe if each.kind == "description" else config.answer).max_new_tokens
            asked.append((each, Request(each.id, each.prompt, image, limit, spoiled)))
    replies = engine.generate([request for _, request in asked], open_image)
    scored = [
        Request(each.id, each.prompt, request.image, corruption=request.corruption, answer=each.answer)
        for each, request in asked
    ]
    scores = engine.score(scored, open_image)
    return [
        Spoiled(each.id, each.image_id, each.kind, reply.text.strip(), score.total, request.corruption.seed)
        for (each, request), reply, score in zip(asked, replies, scores, strict=True)
        if request.corruption is not None
    ]


def _first(
    images: Sequence[Image], open_image: OpenImage, config: StagesConfig, context: Context
) -> tuple[list[Row], list[Dropped]]:
    rows: list[Row] = []
    drops: list[Dropped] = []
    for image in images:
        try:
            open_image(image.id)
        except ImageError as error:
            drops.append(Dropped(image.id, image.id, "image", "open", error.reason, error.detail))
        else:
            rows += first_rows(image, config, context)
    return rows, drops


def _clean(request: Request, total: float, tokens: int) -> Clean:
    kind: PairKind = "description" if request.id.endswith("/description") else "answer"
    return Clean(request.id, request.image or "", kind, request.prompt, request.answer or "", total, tokens)


def _can_be_read(image: str, open_image: OpenImage) -> bool:
    try:
        open_image(image)
    except ImageError:
        return False
    return True
