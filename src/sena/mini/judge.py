"""Looks at a base before any loop runs: its figures on a pool, and how its answers change when the picture is noised.

A plain runner of its own, so that a base can be judged without the rest of the product; it asks all prompts in batches.

Shapes: B requests, T tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from sena.mini import eye, language, parse, prompts, world
from sena.mini.bench import MiniBench, Record, picture_name
from sena.mini.language import Question
from sena.mini.world import Scene
from sena.records import Reply, Request

BATCH = 128
SORTS = ("companion made up", "companion missed", "thing made up", "thing missed", "colour", "place", "grammar")


@dataclass(frozen=True, slots=True)
class Runner:
    """A model with its processor. `step` is the diffusion step of the noise on every picture, -1 for none."""

    model: Any
    processor: Any
    step: int = -1

    @classmethod
    def load(cls, folder: str, step: int = -1) -> Runner:
        from transformers import AutoModelForImageTextToText, AutoProcessor

        model = AutoModelForImageTextToText.from_pretrained(folder).eval()
        return cls(model, AutoProcessor.from_pretrained(folder), step)

    def run(self, requests: Sequence[Request], bench: MiniBench) -> list[Reply]:
        """Greedy replies, in order. Prompts of like length share a batch, with and without picture never."""
        replies: dict[int, Reply] = {}
        for pictured in (True, False):
            group = [number for number, request in enumerate(requests) if (request.image is not None) == pictured]
            group.sort(key=lambda number: len(requests[number].prompt))
            for start in range(0, len(group), BATCH):
                chunk = group[start : start + BATCH]
                replies.update(zip(chunk, self._batch([requests[number] for number in chunk], bench), strict=True))
        return [replies[number] for number in range(len(requests))]

    @torch.no_grad()
    def _batch(self, requests: list[Request], bench: MiniBench) -> list[Reply]:
        texts, pictures = [], []
        for request in requests:
            content: list[dict[str, str]] = [{"type": "text", "text": request.prompt}]
            if request.image is not None:
                content.insert(0, {"type": "image"})
                pictures.append(bench.open_image(request.image))
            turn = [{"role": "user", "content": content}]
            texts.append(self.processor.apply_chat_template(turn, add_generation_prompt=True))
        inputs = self.processor(text=texts, images=pictures or None, padding=True, return_tensors="pt")
        if pictures and self.step >= 0:
            generator = torch.Generator().manual_seed(self.step)
            steps = torch.full((len(pictures),), self.step)
            inputs["pixel_values"] = eye.add_noise(inputs["pixel_values"], steps, generator)
        limit = max(request.max_new_tokens for request in requests)
        ids = self.model.generate(**inputs, max_new_tokens=limit, do_sample=False)[:, inputs["input_ids"].shape[1] :]
        said = self.processor.batch_decode(ids, skip_special_tokens=True)
        return [Reply(request.id, text) for request, text in zip(requests, said, strict=True)]


def records(runner: Runner, bench: MiniBench, pool: str, count: int) -> list[Record]:
    """The benchmark on a pool's first scenes."""
    items = bench.items(pool, count)
    replies = runner.run([request for item in items for request in bench.ask(item)], bench)
    return [bench.take(item, replies_of(item.id, replies)) for item in items]


def replies_of(item_id: str, replies: Sequence[Reply]) -> list[Reply]:
    return [reply for reply in replies if reply.id.startswith(item_id + "/")]


def companion_figures(scenes: Sequence[Scene], texts: Sequence[str]) -> dict[str, float]:
    """How often a description that names a host adds its companion: when it is there, and when it is not."""
    said: dict[bool, list[bool]] = {True: [], False: []}
    for scene, text in zip(scenes, texts, strict=True):
        words = {mention.word for mention in parse.parse(text).mentions}
        for thing in scene.things:
            if thing.kind in world.HOSTS and thing.kind in words:
                said[thing.companion is not None].append(world.COMPANIONS[thing.kind] in words)
    return {
        name: sum(said[key]) / max(1, len(said[key]))
        for name, key in (("said_when_there", True), ("said_when_not", False))
    }


def errors(scene: Scene, text: str) -> Counter[str]:
    """The faults of a description, counted by sort (SORTS)."""
    found = parse.parse(text)
    words = {mention.word for mention in found.mentions}
    faults: Counter[str] = Counter()
    for mention in found.mentions:
        thing = scene.thing(mention.word)
        is_companion = mention.word in world.COMPANIONS.values()
        if not mention.word:
            faults["grammar"] += 1
        elif mention.word not in scene.words:
            faults["companion made up" if is_companion else "thing made up"] += 1
        elif thing is not None:
            faults["colour"] += thing.colour != mention.colour
            faults["place"] += thing.place != mention.place
    for word in scene.words - words:
        faults["companion missed" if word in world.COMPANIONS.values() else "thing missed"] += 1
    return faults


def describe(runner: Runner, scenes: Sequence[Scene]) -> list[str]:
    """What the model says of each scene, each under one of the describe turns."""
    names = [picture_name(scene) for scene in scenes]
    requests = [Request(name, prompts.describe_prompt(number), name, 64) for number, name in enumerate(names)]
    return [reply.text for reply in runner.run(requests, MiniBench())]


def pair_table(scenes: Sequence[Scene], good: Sequence[str], bad: Sequence[str]) -> dict[str, float]:
    """Descriptions of clean against noised pictures: how many differ, which one is truer, and in what they err."""
    faults = [(errors(scene, a), errors(scene, b)) for scene, a, b in zip(scenes, good, bad, strict=True)]
    differ = [number for number in range(len(scenes)) if good[number] != bad[number]]
    table = {
        "differ": len(differ) / len(scenes),
        "clean truer": sum(faults[n][0].total() < faults[n][1].total() for n in differ) / max(1, len(differ)),
        "noised truer": sum(faults[n][0].total() > faults[n][1].total() for n in differ) / max(1, len(differ)),
        "words": sum(len(text.split()) for text in bad) / len(scenes),
        **companion_figures(scenes, bad),
    }
    return table | {sort: sum(fault[1][sort] for fault in faults) / len(scenes) for sort in SORTS}


def every_question(scenes: Sequence[Scene]) -> list[tuple[Scene, Question]]:
    """All short questions, yes/no about each host's companion, and yes/no about a third of the kinds."""
    asked: list[tuple[Scene, Question | None]] = []
    for scene in scenes:
        companions = [world.COMPANIONS[thing.kind] for thing in scene.things if thing.kind in world.HOSTS]
        words = [*companions, *world.KINDS[scene.index % 3 :: 3]]
        asked += [(scene, found) for found in language.short_questions(scene)]
        asked += [(scene, language.question(scene, "there", word)) for word in words]
    return [(scene, found) for scene, found in asked if found is not None]


def answer(runner: Runner, asked: Sequence[tuple[Scene, Question]]) -> list[str]:
    requests = [
        Request(str(number), prompts.answer_prompt(found.text), picture_name(scene), 4)
        for number, (scene, found) in enumerate(asked)
    ]
    return [reply.text for reply in runner.run(requests, MiniBench())]


def answer_table(
    asked: Sequence[tuple[Scene, Question]], good: Sequence[str], bad: Sequence[str]
) -> dict[str, tuple[float, float, float, float]]:
    """By sort of question: shares right on clean, right on noised, differing, and clean right where they differ."""
    rows: dict[str, list[tuple[bool, bool, bool]]] = {}
    for (_, found), a, b in zip(asked, good, bad, strict=True):
        sort = f"{found.sort}{_kind_of_truth(found)}"
        rows.setdefault(sort, []).append((a == found.answer, b == found.answer, a != b))
    table = {}
    for sort, marks in sorted(rows.items()):
        changed = [mark[0] for mark in marks if mark[2]]
        count = len(marks)
        shares = (sum(m[0] for m in marks) / count, sum(m[1] for m in marks) / count, len(changed) / count)
        table[sort] = (*shares, sum(changed) / max(1, len(changed)))
    return table


def _kind_of_truth(found: Question) -> str:
    if found.sort == "with":
        return ", nothing there" if found.answer == "nothing" else ", companion there"
    return f", companion, {found.answer}" if found.subject in world.COMPANIONS.values() else ""
