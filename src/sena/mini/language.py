"""What is said about a scene: the caption, questions with their true answers, and the vocabulary. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sena.mini import prompts
from sena.mini.world import COLOURS, COMPANIONS, HOSTS, PLACES, WORDS, Scene, Thing

Sort = Literal["colour", "where", "what", "with", "there"]

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<image>")


@dataclass(frozen=True, slots=True)
class Question:
    """A question and its true answer. `sort` is what is asked for, `subject` the kind or the place it is about."""

    sort: Sort
    subject: str
    text: str
    answer: str


def say(thing: Thing) -> str:
    company = f" with a {thing.companion}" if thing.companion else ""
    return f"at {thing.place} a {thing.colour} {thing.kind}{company}"


def caption(scene: Scene) -> str:
    """All things in reading order: `at top-left a red plate with a fork , at center a blue ball .`"""
    return " , ".join(say(thing) for thing in scene.things) + " ."


def ask_text(sort: Sort, subject: str) -> str:
    return {
        "colour": f"what colour is the {subject} ?",
        "where": f"where is the {subject} ?",
        "what": f"what is at {subject} ?",
        "with": f"what is with the {subject} ?",
        "there": f"is there a {subject} ?",
    }[sort]


def true_answer(scene: Scene, sort: Sort, subject: str) -> str | None:
    """The answer that the picture holds, or None if it holds none."""
    if sort == "there":
        return "yes" if subject in scene.words else "no"
    if sort == "what":
        return next((thing.kind for thing in scene.things if thing.place == subject), None)
    thing = scene.thing(subject)
    if thing is None:
        return None
    if sort == "with":
        return (thing.companion or "nothing") if subject in HOSTS else None
    return thing.colour if sort == "colour" else thing.place


def question(scene: Scene, sort: Sort, subject: str) -> Question | None:
    answer = true_answer(scene, sort, subject)
    return None if answer is None else Question(sort, subject, ask_text(sort, subject), answer)


def short_questions(scene: Scene) -> list[Question]:
    """Every question of the sorts colour, where, what and with that the picture can answer, in reading order."""
    found = []
    for thing in scene.things:
        found.append(question(scene, "colour", thing.kind))
        found.append(question(scene, "where", thing.kind))
        found.append(question(scene, "what", thing.place))
        found.append(question(scene, "with", thing.kind))
    return [item for item in found if item is not None]


def vocabulary() -> list[str]:
    """All words, special tokens first. The order is the order of the ids."""
    texts = [*prompts.DESCRIBE, prompts.DESCRIBE_SUFFIX, prompts.ANSWER_SUFFIX, prompts.QUESTION, prompts.CHECK]
    texts += [prompts.ENHANCE, prompts.QUESTION_LABEL, prompts.ENHANCE_LABEL, "user : assistant : yes no nothing"]
    texts += [ask_text(sort, "plate") for sort in ("colour", "where", "what", "with", "there")]
    texts += [*PLACES, *COLOURS, *WORDS, *COMPANIONS.values(), "at a with , . ? : ! ' the this i you not none many how"]
    words = (word for text in texts for word in text.split() if not word.startswith("{"))
    return list(dict.fromkeys((*SPECIAL, *words)))
