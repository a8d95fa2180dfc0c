"""The data half of a round as one function of one shard. It asks nothing of other shards, so anyone may run it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from sena.data.run_stage import Dropped, Said, dropped_pair, run_stage
from sena.engines.base import Engine, OpenImage
from sena.engines.base import window as opened
from sena.errors import ImageError
from sena.records import Image, Pair, Row
from sena.stages import StagesConfig, first_rows, make_stages, pairs_of, sift
from sena.stages.base import Context


@dataclass(slots=True)
class Tables:
    """What a shard gives: rows with a settled question, rows with all answers, pairs, what ended, what was said."""

    questions: list[Row] = field(default_factory=list)
    answers: list[Row] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    drops: list[Dropped] = field(default_factory=list)
    replies: list[Said] = field(default_factory=list)

    def add(self, other: Tables) -> None:
        self.questions += other.questions
        self.answers += other.answers
        self.pairs += other.pairs
        self.drops += other.drops
        self.replies += other.replies


def make_pairs(
    shard: Sequence[Image],
    engine: Engine,
    open_image: OpenImage,
    config: StagesConfig,
    context: Context,
    window: int,
    spent: dict[str, float] | None = None,
) -> Tables:
    """Questions, checks, answers, enhanced and rejected answers, and pairs for the images of `shard`.

    Works in windows of `window` images, each through all stages before the next begins, so that what an engine
    keeps of a picture serves all prompts on it. An image that can no longer be read ends there, with its reason.
    Seconds are added to `spent` by stage; the tables hold nothing that a clock decides.
    """
    tables, spent = Tables(), {} if spent is None else spent
    for start in range(0, len(shard), window):
        with opened(engine):
            rows = _open(shard[start : start + window], open_image, (config, context), tables)
            _through_stages(rows, engine, open_image, (config, context), (tables, spent))
    return tables


def _open(
    images: Sequence[Image], open_image: OpenImage, method: tuple[StagesConfig, Context], tables: Tables
) -> list[Row]:
    """The first rows of the images that can be read; the others end here."""
    rows: list[Row] = []
    for image in images:
        try:
            open_image(image.id)
        except ImageError as error:
            tables.drops.append(Dropped(image.id, image.id, "image", "open", error.reason, error.detail))
        else:
            rows += first_rows(image, *method)
    return rows


def _through_stages(
    rows: list[Row],
    engine: Engine,
    open_image: OpenImage,
    method: tuple[StagesConfig, Context],
    kept: tuple[Tables, dict[str, float]],
) -> None:
    """A window's rows through all stages, what comes of them into the tables."""
    (config, context), (tables, spent) = method, kept
    for stage in make_stages(config):
        if stage.name == "answer":
            tables.questions += rows
        start = time.monotonic()
        outcome = run_stage(stage, rows, engine, open_image, context)
        spent[stage.name] = spent.get(stage.name, 0.0) + time.monotonic() - start
        rows = outcome.rows
        tables.drops += outcome.drops
        tables.replies += outcome.said
    tables.answers += rows
    for row in rows:
        _pair(row, tables, config, context)


def _pair(row: Row, tables: Tables, config: StagesConfig, context: Context) -> None:
    """The row's pairs, each either kept or dropped with the reason of the first filter that objects."""
    for pair, reason in sift(pairs_of(row, context, config), row, tables.pairs, config):
        if reason is None:
            tables.pairs.append(pair)
        else:
            tables.drops.append(dropped_pair(pair, "filter", reason))
