"""The benchmark `mini`: a description, short questions and yes/no questions about scenes whose truth is known.

Yes/no questions are balanced per word within each split: of the questions about forks, half are truly yes. So whoever
answers without looking scores one half. Pure functions over requests and replies; no engine, no disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

from sena.mini import language, parse, prompts, world
from sena.mini.figures import bootstrap, compare, equal_length, summarise
from sena.mini.language import Question
from sena.mini.source import parse_name
from sena.mini.world import Scene
from sena.records import Reply, Request

__all__ = ["Item", "MiniBench", "Record", "bootstrap", "compare", "equal_length", "summarise"]

SPLITS = ("random", "popular", "adversarial")
POPULAR = world.HOSTS  # the kinds most often seen in pre-training
GREY = "grey"
SCENES = 500
VQA_PER_SCENE = 2
YES_NO_PER_SPLIT = 2


@dataclass(frozen=True, slots=True)
class Item:
    """One scene and what is asked about it: (split, question) pairs; split is vqa or one of SPLITS."""

    id: str
    scene: Scene
    describe: str
    questions: tuple[tuple[str, Question], ...]


@dataclass(frozen=True, slots=True)
class Record:
    """What came of one scene, in counts that add up. `mentions` holds (word, is true, words up to its clause's end).

    `answers` holds (split, sort, subject, truth, reply).
    """

    id: str
    description: str
    mentions: tuple[tuple[str, bool, int], ...]
    covered: int
    truths: int
    colours_right: int
    colours: int
    parsed: bool
    length: int
    answers: tuple[tuple[str, str, str, str, str], ...]


@dataclass(frozen=True, slots=True)
class MiniBench:
    """`blind` is empty, `none` (no picture is shown) or `grey` (an empty one is); a blind run skips descriptions."""

    name: str = "mini"
    blind: str = ""

    def items(self, pool: str = "evaluation", count: int | None = None) -> list[Item]:
        scenes = [world.make_scene(pool, index) for index in range(SCENES if count is None else count)]
        asked = balanced_questions(scenes)
        return [
            Item(picture_name(scene), scene, prompts.describe_prompt(scene.index), tuple(vqa(scene) + asked[number]))
            for number, scene in enumerate(scenes)
        ]

    def ask(self, item: Item) -> list[Request]:
        image = {"": item.id, "none": None, "grey": GREY}[self.blind]
        asked = [
            Request(f"{item.id}/{number}", prompts.answer_prompt(found.text), image, max_new_tokens=4)
            for number, (_, found) in enumerate(item.questions)
        ]
        return asked if self.blind else [Request(f"{item.id}/describe", item.describe, image, 64), *asked]

    def take(self, item: Item, replies: Sequence[Reply]) -> Record:
        said = {reply.id: reply.text for reply in replies}
        text = said.get(f"{item.id}/describe", "")
        found = parse.parse(text)
        mentions = tuple((mention.word, parse.is_true(mention, item.scene), mention.end) for mention in found.mentions)
        coloured = [mention for mention in found.mentions if mention.colour and item.scene.thing(mention.word)]
        return Record(
            id=item.id,
            description=text,
            mentions=mentions,
            covered=len({word for word, true, _ in mentions if true}),
            truths=len(item.scene.words),
            colours_right=sum(parse.colour_is_true(mention, item.scene) for mention in coloured),
            colours=len(coloured),
            parsed=found.complete,
            length=found.length,
            answers=tuple(
                (split, asked.sort, asked.subject, asked.answer, plain(said.get(f"{item.id}/{number}", "")))
                for number, (split, asked) in enumerate(item.questions)
            ),
        )

    def blind_twin(self) -> MiniBench:
        """The same questions, no picture shown."""
        return MiniBench(blind="none")

    def summarise(self, records: Sequence[Record]) -> dict[str, dict[str, float]]:
        return summarise(records)

    def compare(self, before: Sequence[Record], after: Sequence[Record]) -> dict[str, dict[str, float]]:
        return compare(before, after)

    def to_json(self, record: Record) -> dict[str, Any]:
        return asdict(record)

    def from_json(self, data: dict[str, Any]) -> Record:
        nested = {name: tuple(tuple(row) for row in data[name]) for name in ("mentions", "answers")}
        return Record(**{**data, **nested})

    def open_image(self, image_id: str) -> Image.Image:
        if image_id == GREY:
            return Image.new("RGB", (world.SIDE, world.SIDE), (222, 222, 222))
        return world.render(world.make_scene(*parse_name(image_id)))


def picture_name(scene: Scene) -> str:
    return f"{scene.pool}/{scene.index:06d}"


def plain(answer: str) -> str:
    """An answer's words without the marks around them."""
    return " ".join(word for word in parse.words_of(answer) if word not in (".", ",", "!", "?"))


def vqa(scene: Scene) -> list[tuple[str, Question]]:
    """Short questions about the scene, drawn by its own seed."""
    rng = np.random.RandomState([world.POOLS[scene.pool], scene.index, 2])
    choices = language.short_questions(scene)
    picked = rng.permutation(len(choices))[:VQA_PER_SCENE]
    return [("vqa", choices[number]) for number in picked]


def candidates(scene: Scene, split: str) -> list[str]:
    """The words that a split may ask about this scene."""
    if split == "random":
        return list(world.WORDS)
    if split == "popular":
        return list(POPULAR)
    return [world.COMPANIONS[thing.kind] for thing in scene.things if thing.kind in world.HOSTS]


def balanced_questions(scenes: Sequence[Scene]) -> list[list[tuple[str, Question]]]:
    """Yes/no questions for each scene; over all scenes each word of a split has as many true yes as true no."""
    asked: list[list[tuple[str, Question]]] = [[] for _ in scenes]
    for split_number, split in enumerate(SPLITS):
        rng = np.random.RandomState([77, split_number])
        words = sorted({word for scene in scenes for word in candidates(scene, split)})
        limit = max(1, YES_NO_PER_SPLIT * len(scenes) // (2 * max(1, len(words))))
        for word in words:
            able = [number for number, scene in enumerate(scenes) if word in candidates(scene, split)]
            able = [able[place] for place in rng.permutation(len(able))]
            yes = [number for number in able if word in scenes[number].words]
            no = [number for number in able if word not in scenes[number].words]
            size = min(len(yes), len(no), limit)
            for number in yes[:size] + no[:size]:
                found = language.question(scenes[number], "there", word)
                assert found is not None
                asked[number].append((split, found))
    return asked
