"""A benchmark on files: questions about pictures, what is counted on each picture, and the metrics of the counts.

Every benchmark of this room is one of these, so its own module only says what is read, asked, counted and measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from sena.errors import SenaError
from sena.evals import figures
from sena.evals.figures import Counts, Measure
from sena.records import Reply, Request
from sena.stats import Figure

if TYPE_CHECKING:
    from PIL import Image

SHORT = "Answer the question using a single word or phrase."
LETTER = "Answer with the option's letter from the given choices directly."
"""LLaVA-1.5 was trained with these two suffixes, exact to the letter; they ask for short answers in every benchmark."""
SHORT_TOKENS, LONG_TOKENS = 128, 1024  # what LLaVA's own evaluation allows


@dataclass(frozen=True, slots=True)
class About:
    """What `sena bench ls` says. `files` holds (path below the data root, what it is)."""

    name: str
    title: str
    files: tuple[tuple[str, str], ...]
    source: str
    prompt: str
    metric: str
    judged: bool = False
    unit: str = "pictures"  # what an item is


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt. `image` is a picture's id or None, `truth` anything that JSON can hold, `group` a split or kind."""

    id: str
    prompt: str
    image: str | None
    truth: Any = None
    group: str = ""
    max_new_tokens: int = SHORT_TOKENS


@dataclass(frozen=True, slots=True)
class Item:
    """What is resampled together: a picture with all its questions."""

    id: str
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A question's raw answer beside its truth. `verdict` is a judge's raw reply, where one was asked."""

    id: str
    group: str
    prompt: str
    truth: Any
    text: str
    finished: bool = True
    verdict: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """The answers of one item."""

    id: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Suite:
    """A benchmark that was read from its files.

    `notes` are facts without which its numbers mislead. `submission` gives a file's name and text where the truth is
    hidden, `judge_prompt` what a judge is asked about an answer.
    """

    about: About
    everything: tuple[Item, ...]
    count: Callable[[Sequence[Answer]], Counts]
    measure: Measure
    open_image: Callable[[str], Image.Image]
    demand: Callable[[Iterable[str]], None] = lambda images: None
    notes: Mapping[str, str] = field(default_factory=dict)
    submission: Callable[[Sequence[Answer]], tuple[str, bytes]] | None = None
    judge_prompt: Callable[[Answer], str] | None = None

    @property
    def name(self) -> str:
        return self.about.name

    def items(self, pool: str = "", count: int | None = None) -> Sequence[Item]:
        """The first `count` items, or all. Raises SenaError for pictures that are missing. There is one pool only."""
        items = self.everything[:count]
        self.demand(question.image for item in items for question in item.questions if question.image is not None)
        return items

    def ask(self, item: Item) -> list[Request]:
        return [Request(each.id, each.prompt, each.image, each.max_new_tokens) for each in item.questions]

    def take(self, item: Item, replies: Sequence[Reply]) -> Record:
        pairs = zip(item.questions, replies, strict=True)
        return Record(
            item.id,
            tuple(Answer(q.id, q.group, q.prompt, q.truth, said.text, said.finished) for q, said in pairs),
        )

    def summarise(self, records: Sequence[Record]) -> dict[str, Figure]:
        return figures.summarise([self.count(record.answers) for record in records], self.measure)

    def compare(self, before: Sequence[Record], after: Sequence[Record]) -> dict[str, Figure]:
        """After minus before over the pictures that both have."""
        later = {record.id: record for record in after}
        pairs = [(record, later[record.id]) for record in before if record.id in later]
        old, new = ([self.count(pair[side].answers) for pair in pairs] for side in (0, 1))
        return figures.compare(old, new, self.measure)

    def to_json(self, record: Record) -> dict[str, Any]:
        return asdict(record)

    def from_json(self, data: dict[str, Any]) -> Record:
        return Record(data["id"], tuple(Answer(**each) for each in data["answers"]))

    def blind_twin(self) -> None:
        """None: a blind run would double the cost of benchmarks whose chance level is known."""
        return None


def grouped(questions: Iterable[Question], key: Callable[[Question], str] | None = None) -> tuple[Item, ...]:
    """Items in the order of their first question, by picture unless `key` says otherwise.

    Raises SenaError when two questions share an id, since answers could not be told apart.
    """
    items: dict[str, list[Question]] = {}
    seen: set[str] = set()
    for question in questions:
        if question.id in seen:
            raise SenaError(f"Two questions have the id {question.id}: is one of the benchmark's files there twice?")
        seen.add(question.id)
        items.setdefault(key(question) if key else question.image or question.id, []).append(question)
    return tuple(Item(name, tuple(each)) for name, each in items.items())


def options(question: str, choices: Sequence[str]) -> str:
    """A question with its choices below, a letter before each."""
    return "\n".join([question, *(f"{letter}. {choice}" for letter, choice in zip("ABCDEFGH", choices, strict=False))])
