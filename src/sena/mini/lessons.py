"""What the tongue is taught: turns about a picture, all of them true. No torch.

Yes/no questions are thinned so that each word is asked as often with a true yes as with a true no; otherwise a model
answers by the word and never looks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sena.mini import language, prompts, world
from sena.mini.language import Question
from sena.mini.world import Scene


@dataclass(frozen=True, slots=True)
class Turn:
    """One user turn and the answer to learn."""

    user: str
    answer: str


@dataclass(frozen=True, slots=True)
class Tutor:
    """Makes turns about scenes. `presence` is how often each word is true in the scenes, for the thinning."""

    presence: dict[str, float]

    def yes_no(self, scene: Scene, rng: np.random.RandomState) -> Question:
        """A yes/no question whose word says nothing about its answer."""
        while True:
            word = str(rng.choice(world.WORDS))
            rate = self.presence[word]
            keep = (1 - rate) / rate if word in scene.words else rate / (1 - rate)
            if rng.rand() < keep:
                found = language.question(scene, "there", word)
                assert found is not None
                return found

    def asked(self, scene: Scene, rng: np.random.RandomState) -> Question:
        """The question that the model itself asks. The first thing's colour decides the sort, mostly.

        So even a greedy model asks questions of every sort, since pictures differ.
        """
        first = scene.things[0]
        sorts = ("colour", "where", "what", "with", "there", "with")
        favourite = sorts[list(world.COLOURS).index(first.colour)]
        sort = favourite if rng.rand() < 0.8 else str(rng.choice(sorts))
        thing = scene.things[-1] if rng.rand() < 0.6 else scene.things[rng.randint(len(scene.things))]
        hosts = [other for other in scene.things if other.kind in world.HOSTS]
        if sort in ("with", "there") and hosts:
            host = hosts[-1] if rng.rand() < 0.8 else hosts[rng.randint(len(hosts))]
            subject = host.kind if sort == "with" else world.COMPANIONS[host.kind]
        else:
            sort = "colour" if sort == "with" else sort
            subject = thing.place if sort == "what" else thing.kind
        found = language.question(scene, sort, subject)  # type: ignore[arg-type]
        assert found is not None
        return found

    def unanswerable(self, scene: Scene, rng: np.random.RandomState) -> str:
        """A question about something that the picture does not hold."""
        absent = [kind for kind in world.KINDS if kind not in scene.words]
        free = [place for place in world.PLACES if place not in {thing.place for thing in scene.things}]
        sort = str(rng.choice(("colour", "where", "what")))
        return language.ask_text(sort, str(rng.choice(free if sort == "what" else absent)))  # type: ignore[arg-type]

    def any_question(self, scene: Scene, rng: np.random.RandomState) -> Question:
        short = language.short_questions(scene)
        return self.yes_no(scene, rng) if rng.rand() < 0.25 else short[rng.randint(len(short))]

    def describe(self, scene: Scene, rng: np.random.RandomState) -> Turn:
        return Turn(prompts.describe_prompt(rng.randint(len(prompts.DESCRIBE))), language.caption(scene))

    def answer(self, found: Question) -> Turn:
        return Turn(prompts.answer_prompt(found.text), found.answer)

    def check(self, scene: Scene, rng: np.random.RandomState) -> Turn:
        kept = self.any_question(scene, rng).text if rng.rand() < 0.6 else ""
        shown = kept or self.unanswerable(scene, rng)
        other = kept or self.asked(scene, rng).text
        return Turn(prompts.check_prompt(shown), f"{prompts.QUESTION_LABEL} {other}")

    def enhance(self, scene: Scene, rng: np.random.RandomState) -> Turn:
        """The description and the answer to be bettered are right or wrong; the better answer is true."""
        found = self.any_question(scene, rng)
        told = scene if rng.rand() < 0.6 else misread(scene, rng)
        given = found.answer if rng.rand() < 0.7 else wrong_answer(found, rng)
        user = prompts.enhance_prompt(language.caption(told), found.text, given)
        return Turn(user, f"{prompts.ENHANCE_LABEL} {found.answer}")

    def rest(self, scene: Scene, rng: np.random.RandomState) -> Turn:
        """One of the turns in which the model works on questions and answers."""
        sort = rng.choice(("ask", "check", "enhance"), p=(0.2, 0.4, 0.4))
        if sort == "ask":
            return Turn(prompts.QUESTION, self.asked(scene, rng).text)
        return self.check(scene, rng) if sort == "check" else self.enhance(scene, rng)

    def turns(self, scene: Scene, rng: np.random.RandomState) -> list[Turn]:
        """Seven turns: a caption, two short answers, two yes/no, and two of the rest."""
        short = language.short_questions(scene)
        asked = [short[rng.randint(len(short))] for _ in range(2)] + [self.yes_no(scene, rng) for _ in range(2)]
        answers = [self.answer(found) for found in asked]
        return [self.describe(scene, rng), *answers, self.rest(scene, rng), self.rest(scene, rng)]


def misread(scene: Scene, rng: np.random.RandomState) -> Scene:
    """The scene as a careless eye would report it: one thing's colour is wrong."""
    number = rng.randint(len(scene.things))
    colour = str(rng.choice(list(world.COLOURS)))
    things = list(scene.things)
    old = things[number]
    things[number] = world.Thing(old.kind, colour, old.cell, old.companion)
    return Scene(scene.pool, scene.index, tuple(things))


def wrong_answer(found: Question, rng: np.random.RandomState) -> str:
    choices: dict[str, tuple[str, ...]] = {
        "colour": tuple(world.COLOURS),
        "where": world.PLACES,
        "what": world.KINDS,
        "with": (*world.COMPANIONS.values(), "nothing"),
        "there": ("yes", "no"),
    }
    return str(rng.choice([other for other in choices[found.sort] if other != found.answer]))


def presence(scenes: list[Scene]) -> dict[str, float]:
    """How often each word is true of a scene."""
    return {word: sum(word in scene.words for scene in scenes) / len(scenes) for word in world.WORDS}
