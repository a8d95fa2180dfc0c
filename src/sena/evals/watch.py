"""What can be seen of a model without any label: on a few pictures set aside, by every round's model, the same way.

A description that the picture makes no likelier than no picture, or another one, does not come from the picture. Two
mildly changed views should be described alike. And collapse shows in the form of what is said: its length, its yes,
questions that no longer differ, descriptions that are all the same. Pure but for the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from sena import seeds
from sena.engines.base import Engine, OpenImage
from sena.records import Corruption, Reply, Request
from sena.stats import Figure, bootstrap, difference, resampling
from sena.text import join, normalise, words

YES = frozenset(("yes", "yeah", "yep", "是", "是的", "对", "有", "はい", "예", "네", "oui", "ja", "sí", "si", "да"))
NO = frozenset(("no", "nope", "不", "不是", "否", "没有", "いいえ", "아니요", "non", "nein", "nee", "нет"))
VIEWS = (("crop", 0.1), ("colour_jitter", 0.2))
"""Two mild changes: a tenth of the area cut away; colours moved by up to a fifth."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """The recipe's own prompts, so that what is watched is what is trained. Limits are in new tokens."""

    question: str
    describe: tuple[str, ...]
    answer_suffix: str
    question_tokens: int
    describe_tokens: int
    answer_tokens: int


@dataclass(frozen=True, slots=True)
class Watched:
    """One picture under one model. Log-probabilities of the model's own description, in nats a token: with the picture,
    without any, and with another one. `asked` is the base model's question, which every later model answers too."""

    image: str
    question: str
    asked: str
    description: str
    views: tuple[str, ...]
    answer: str
    with_image: float
    without_image: float
    with_other: float


def watch(
    engine: Engine,
    images: Sequence[str],
    open_image: OpenImage,
    prompts: Prompts,
    asked: dict[str, str],
    seed: int,
) -> list[Watched]:
    """One record a picture, in their order. `asked` holds the base's questions; empty for the base itself.

    Views are left out for a model whose pictures cannot be changed in those ways, so that `agreement` is then unknown.
    """
    said = _said(engine, open_image, [_ask(prompts, image, seed) for image in images])
    asked = asked or {image: said[f"{image}/question"] for image in images}
    said |= _said(engine, open_image, [_answer(prompts, image, asked[image]) for image in images])
    views = _views(engine, images, open_image, prompts, seed)
    scores = _scores(engine, images, open_image, prompts, said, seed)
    return [
        Watched(
            image,
            said[f"{image}/question"],
            asked[image],
            said[f"{image}/describe"],
            tuple(views[image]),
            said[f"{image}/answer"],
            *scores[image],
        )
        for image in images
    ]


def _ask(prompts: Prompts, image: str, seed: int) -> list[Request]:
    return [
        Request(f"{image}/question", prompts.question, image, prompts.question_tokens),
        _describe(prompts, image, "describe", seed),
    ]


def _describe(prompts: Prompts, image: str, name: str, seed: int) -> Request:
    """Always the same of the recipe's prompts for a picture."""
    prompt = prompts.describe[seeds.pick(len(prompts.describe), seed, image, "watch")]
    return Request(f"{image}/{name}", prompt, image, prompts.describe_tokens)


def _answer(prompts: Prompts, image: str, question: str) -> list[Request]:
    return [Request(f"{image}/answer", join(question, prompts.answer_suffix), image, prompts.answer_tokens)]


def _said(engine: Engine, open_image: OpenImage, asked: Sequence[Sequence[Request]]) -> dict[str, str]:
    replies: list[Reply] = engine.generate([request for each in asked for request in each], open_image)
    return {reply.id: reply.text.strip() for reply in replies}


def _views(
    engine: Engine, images: Sequence[str], open_image: OpenImage, prompts: Prompts, seed: int
) -> dict[str, list[str]]:
    def view(image: str, number: int) -> Request:
        kind, strength = VIEWS[number]
        spoiled = Corruption(kind, strength, seeds.derive(seed, image, "view", number))
        return replace(_describe(prompts, image, f"view{number}", seed), corruption=spoiled)

    said = _said(engine, open_image, [[view(image, number) for number in range(len(VIEWS))] for image in images])
    return {image: [said[f"{image}/view{number}"] for number in range(len(VIEWS))] for image in images}


def _scores(
    engine: Engine,
    images: Sequence[str],
    open_image: OpenImage,
    prompts: Prompts,
    said: dict[str, str],
    seed: int,
) -> dict[str, tuple[float, float, float]]:
    """With the picture, without, and with the next of the pictures. Not a number where the engine cannot score."""
    if "score" not in engine.offers:
        unknown = float("nan")
        return dict.fromkeys(images, (unknown, unknown, unknown))
    requests = []
    for place, image in enumerate(images):
        own = replace(_describe(prompts, image, "score", seed), answer=said[f"{image}/describe"])
        other = images[(place + 1) % len(images)]
        requests += [
            own,
            replace(own, id=f"{own.id}/none", image=None),
            replace(own, id=f"{own.id}/other", image=other),
        ]
    means = iter([score.mean for score in engine.score(requests, open_image)])
    return {image: (next(means), next(means), next(means)) for image in images}


Sums = dict[str, tuple[np.ndarray, np.ndarray]]


def summarise(records: Sequence[Watched]) -> dict[str, Figure]:
    """Every score with its 95 % interval, pictures resampled. Scores that nothing speaks for are left out."""
    draws = resampling(len(records))
    return {name: bootstrap(*sums, draws) for name, sums in _sums(records).items()}


def compare(before: Sequence[Watched], after: Sequence[Watched]) -> dict[str, Figure]:
    """Paired differences, `after` minus `before`, over the same pictures."""
    old, new = _sums(before), _sums(after)
    draws = resampling(len(before))
    return {name: difference(old[name], new[name], draws) for name in old if name in new}


def _sums(records: Sequence[Watched]) -> Sums:
    one = np.ones(len(records))
    found: Sums = {
        "grounding": (np.array([each.with_image - each.without_image for each in records]), one),
        "grounding_other": (np.array([each.with_image - each.with_other for each in records]), one),
        "agreement": (np.array([_agreement(each) for each in records]), one),
        "yes_ratio": _yes(records),
        "description_words": (np.array([float(len(words(each.description))) for each in records]), one),
        "answer_words": (np.array([float(len(words(each.answer))) for each in records]), one),
        "distinct_questions": (1 - _shared([each.question for each in records]), one),
        "duplicates": (_shared([each.description for each in records]), one),
    }
    return {name: sums for name, sums in found.items() if np.isfinite(sums[0]).all() and sums[1].sum() > 0}


def _agreement(record: Watched) -> float:
    """F1 of the words that the descriptions of two views have in common."""
    if len(record.views) < 2:
        return float("nan")
    first, second = ([word.casefold() for word in words(view)] for view in record.views)
    common = sum(min(first.count(word), second.count(word)) for word in set(first))
    return 2 * common / (len(first) + len(second)) if first or second else 1.0


def _yes(records: Sequence[Watched]) -> tuple[np.ndarray, np.ndarray]:
    said = [normalise(record.answer) for record in records]
    yes = np.array([float(text in YES) for text in said])
    return yes, yes + np.array([float(text in NO) for text in said])


def _shared(texts: Sequence[str]) -> np.ndarray:
    """1 for a text that another picture has too."""
    plain = [normalise(text) for text in texts]
    return np.array([float(plain.count(text) > 1) for text in plain])


def to_json(record: Watched) -> dict[str, Any]:
    """Numbers that are none become null, since JSON has no other word for them."""
    return {name: None if value != value else value for name, value in asdict(record).items()}


def from_json(data: dict[str, Any]) -> Watched:
    numbers = ("with_image", "without_image", "with_other")
    known = {name: float("nan") if data[name] is None else data[name] for name in numbers}
    return Watched(**{**data, **known, "views": tuple(data["views"])})
