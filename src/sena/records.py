"""The few records that flow through everything: pictures, requests, replies, rows, pairs.

All are frozen and flat, so that a table is a list of them and a test is a literal. No torch, no disk, no network here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PairKind = Literal["description", "answer"]


@dataclass(frozen=True, slots=True)
class Image:
    """One picture of a round. `id` comes from the file's bytes, `path` is what its source calls it (never absolute)."""

    id: str
    source: str
    path: str
    sha256: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Corruption:
    """How a picture is spoiled: `strength` is in the kind's own unit (for `diffusion` the time step, 0 to 999)."""

    kind: str
    strength: float
    seed: int


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt for an engine.

    `prompt` is the user's turn as plain text: whatever it holds, no special token ever comes of it.
    `image` is an image id (or None for a text-only prompt). `answer` is set only when the request is to be scored.
    """

    id: str
    prompt: str
    image: str | None
    max_new_tokens: int = 128
    corruption: Corruption | None = None
    temperature: float = 0.0
    seed: int = 0
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What an engine generated. `finished` is False when the answer was cut at its token limit.

    `tokens` are the generated ids without the end token (empty from engines that do not tell).
    `stable` says whether encoding `text` again gives `tokens` (None when the engine does not know).
    """

    id: str
    text: str
    finished: bool = True
    tokens: tuple[int, ...] = ()
    stable: bool | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """Log-probability (natural log) of a given answer, its end token included: the sum and the mean per token."""

    id: str
    total: float
    mean: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Row:
    """A question about a picture on its way to two pairs. Fields fill up stage by stage; the rest is empty.

    `asked` holds every question tried, in order; `cut` names the fields whose text ran into the token limit.
    `support_*` is how much more likely (nats a token) the clean picture makes the chosen text than the spoiled one.
    `describe_prompt` and `answer_prompt` are the exact user turns that the answers were generated under.
    """

    id: str
    image_id: str
    number: int = 0
    question: str = ""
    asked: tuple[str, ...] = ()
    describe_prompt: str = ""
    answer_prompt: str = ""
    description: str = ""
    answer: str = ""
    enhanced_description: str = ""
    enhanced_answer: str = ""
    rejected_description: str = ""
    rejected_answer: str = ""
    sampled_descriptions: tuple[str, ...] = ()
    sampled_answers: tuple[str, ...] = ()
    support_description: float | None = None
    support_answer: float | None = None
    cut: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one prompt about one picture, the better one first. What the training half reads.

    `plain` is the answer before it was enhanced (equal to `chosen` when nothing was enhanced).
    `corruption`, `strength` and `corruption_seed` are enough to make the rejected answer's picture again.
    `support` is how much more likely (nats a token) the clean picture makes the chosen answer than the spoiled one
    does, where a recipe asks for it.
    """

    id: str
    row_id: str
    image_id: str
    kind: PairKind
    prompt: str
    chosen: str
    rejected: str
    plain: str = ""
    corruption: str = ""
    strength: float = 0.0
    corruption_seed: int = 0
    support: float | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """A row that ended, and why. `reason` is one of a few fixed strings, `detail` is free text."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Again:
    """A stage's way to ask once more: the row as it now stands goes through the stage again."""

    row: Row
