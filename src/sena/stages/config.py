"""What a user can set about the stages. Prompts have no defaults: they are data, and stand in the recipe.

Every default is what the paper describes, or our mend of it; `recipes/sena-as-released.yaml` sets each quirk of the
released code, and `docs/quirks.md` lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from sena.config import Config
from sena.images.config import GivenConfig
from sena.images.kinds import KINDS, CorruptionKind, fault
from sena.text import placeholders

Tokens = Annotated[int, Field(ge=1, le=4096)]


def _filled_with(*names: str, needs: tuple[str, ...] = ()) -> AfterValidator:
    """A template may hold these placeholders and no others, and must hold those in `needs`."""

    def check(template: str) -> str:
        held = placeholders(template)
        for name in sorted(held - set(names)):
            raise ValueError(f"{{{name}}} is no placeholder of this prompt; it has {', '.join(names)}")
        for name in needs:
            if name not in held:
                raise ValueError(f"this prompt must hold {{{name}}}")
        return template

    return AfterValidator(check)


def _has_words(text: str) -> str:
    if not any(character.isalnum() for character in text):
        raise ValueError("this text must hold a word")
    return text


def _a_list(value: object) -> object:
    """One text may be written without the brackets of a list."""
    return [value] if isinstance(value, str) else value


Words = Annotated[str, AfterValidator(_has_words)]
Prompts = Annotated[tuple[Words, ...], BeforeValidator(_a_list), Field(min_length=1)]
CheckPrompt = Annotated[str, _filled_with("question", needs=("question",))]
EnhancePrompt = Annotated[
    str, _filled_with("description", "question", "answer", needs=("description", "question", "answer"))
]
YesPrompt = Annotated[str, _filled_with("question", "answer")]


class QuestionConfig(Config):
    """How the model asks about a picture (self-questioning, first half)."""

    prompts: Prompts
    """User turns that ask for a question; the k-th question of a picture takes the k-th, in turn."""
    questions_per_image: int = Field(default=1, ge=1, le=100)
    """Questions asked of one picture in a round."""
    keep: Literal["first", "whole"] = "first"
    """What of the reply is the question: its `first` sentence that asks, or the `whole` text unread (as released)."""
    label: Words = "Question:"
    """Where the model writes this label before its question, it is taken off."""
    max_new_tokens: Tokens = 512
    """Longest reply."""
    temperature: float = Field(default=0.0, ge=0.0, le=10.0)
    """0 is greedy; more than 0 gives the questions of one picture a chance to differ under one prompt."""
    given: GivenConfig | None = None
    """Questions that people wrote, in place of asking and checking: a file, or settings below."""


class CheckConfig(Config):
    """How the model checks that the picture answers its question (self-questioning, second half)."""

    enabled: bool = True
    """Without it every question goes on as it was asked."""
    prompt: CheckPrompt
    """User turn with {question}; the reply is the same question if it stands, another one if not."""
    label: Words = "Question:"
    """What the reply puts before the question; a reply without it is read whole."""
    labels: Literal["tolerant", "exact"] = "tolerant"
    """`exact` (as released) takes off only the label and one space, so that a label before a line break leaks."""
    blind: bool = False
    """Check without showing the picture, as the released code does by oversight."""
    max_regenerations: int = Field(default=2, ge=0, le=100)
    """How often another question may take the place of the first; each is checked in its turn."""
    on_unsettled: Literal["drop", "keep_last"] = "drop"
    """What becomes of a row whose question never came back unchanged. With 0 regenerations `keep_last` is one pass
    without re-check, as released."""
    keep: Literal["first", "all"] = "first"
    """Whether one question of a reply goes on, or every sentence that asks becomes a row (as released)."""
    banned: tuple[Words, ...] = ()
    """A reply that holds one of these letter for letter ends the row. The released code bans `name`, and with it
    ornament and tournament."""
    max_new_tokens: Tokens = 1024
    """Longest reply."""
    temperature: float = Field(default=0.0, ge=0.0, le=10.0)
    """0 is greedy."""


class DescribeConfig(Config):
    """How the model describes a picture."""

    enabled: bool = True
    """Without it there are no descriptions and no description pairs; enhancement and samples need them."""
    prompts: Prompts
    """Short requests for a description; each row takes one, drawn by the seed."""
    suffix: str
    """Put behind the request, in data and in training; where it brings no white space, one space goes between."""
    max_new_tokens: Tokens = 512
    """Longest description; one that is cut ends its pair as `truncated`."""


class AnswerConfig(Config):
    """How the model answers its question."""

    suffix: str
    """Put behind the question, in data and in training; where it brings no white space, one space goes between."""
    max_new_tokens: Tokens = 512
    """Longest answer; one that is cut ends its pair as `truncated`."""


class EnhanceConfig(Config):
    """How the model improves its answer with the help of its description (answer self-enhancement)."""

    enabled: bool = True
    """Without it the plain answer is the chosen one."""
    prompt: EnhancePrompt
    """User turn with {description}, {question} and {answer}."""
    label: Words = "Improved answer:"
    """What the reply puts before the better answer; without it the plain answer is kept."""
    labels: Literal["tolerant", "exact"] = "tolerant"
    """`exact` (as released): the label must open the reply, and only label and one space are taken off."""
    with_suffix: bool = False
    """Whether {question} brings its suffix (one word or phrase) into a prompt that asks for more, as released."""
    descriptions: bool = False
    """Whether descriptions are enhanced by themselves too, as released."""
    yes_prompt: YesPrompt | None = None
    """A second prompt, without {description}, for rows whose description is exactly Yes or yes (as released)."""
    max_new_tokens: Tokens = 512
    """Longest reply."""


class CorruptionConfig(Config):
    """How the picture is spoiled under which the rejected answers are made."""

    kind: CorruptionKind = "diffusion"
    """`diffusion` adds the noise of a diffusion step; the others stand in docs/corruptions.md. `no_image` asks without
    the picture, `other_image` shows another one of the round, `none` leaves the picture whole."""
    strength: float = KINDS["diffusion"].usual
    """In the kind's own unit: for `diffusion` the step, counted from 0; the higher, the less is seen. Unset or null
    takes the usual one of the kind."""
    strength_from: float | None = None
    """With a number, every picture of a round has a strength of its own, drawn evenly between this and `strength`."""
    draws: Literal["per_image", "per_answer"] = "per_image"
    """One noise for all answers of a picture in a round, or a fresh one for each answer (as released)."""
    temperature: float = Field(default=0.0, ge=0.0, le=10.0)
    """Of the rejected answers; 0 is greedy. With kind `none` and 1 they are samples on the clean picture."""
    prefix: str = ""
    """Put before the prompt when the rejected answer is asked for, and then only: a bad prompt, as in STIC."""

    @model_validator(mode="before")
    @classmethod
    def _usual_strength(cls, data: Any) -> Any:
        """A recipe that changes the kind need not name a strength, and never gets that of another kind unseen."""
        if not isinstance(data, Mapping) or data.get("strength") is not None:
            return data
        known = KINDS.get(str(data.get("kind")), KINDS["diffusion"])  # of an unknown kind the kind is the fault
        return {**data, "strength": known.usual}

    @field_validator("strength", "strength_from")
    @classmethod
    def _known_strength(cls, strength: float | None, info: ValidationInfo) -> float | None:
        wrong = fault(info.data["kind"], strength) if "kind" in info.data and strength is not None else None
        if wrong:
            raise ValueError(wrong)
        return strength


class SamplesConfig(Config):
    """Answers sampled on the clean picture, of which the best becomes the chosen and the worst the rejected one."""

    count: int = Field(default=0, ge=0, le=64)
    """Samples a prompt; 0 for none, else they take the place of enhanced and rejected answers."""
    temperature: float = Field(default=1.0, gt=0.0, le=10.0)
    """At which they are drawn."""
    rejected: Literal["worst", "spoiled"] = "worst"
    """`worst` rejects the sample that the picture supports least, `spoiled` the answer on the spoiled picture."""


FilterName = Literal[
    "truncated",
    "empty",
    "identical",
    "repetitive",
    "no_letters",
    "yes_no",
    "contained",
    "duplicate",
    "unsupported",
    "unlike_lengths",
    "banned_text",
    "identical_exact",
    "latin_half",
    "yes_no_exact",
    "contained_one_sided",
]


class FiltersConfig(Config):
    """Which pairs are not learned from. Each filter is a named function with a fixed reason; what they drop is kept
    in the tables with that reason."""

    names: tuple[FilterName, ...] = (
        "truncated",
        "empty",
        "identical",
        "repetitive",
        "no_letters",
        "yes_no",
        "contained",
        "duplicate",
    )
    """The filters, in order: the first that objects gives the reason. The last five known are the released code's."""
    least_support: float = 0.0
    """`unsupported`: how much more likely (nats a token) the clean picture has to make the chosen answer than the
    spoiled one does."""
    most_length_ratio: float = Field(default=1.5, ge=1.0)
    """`unlike_lengths`: how many times longer, in characters, one answer may be than the other."""
    most_repeats: int = Field(default=30, ge=1)
    """`repetitive`: how often one token may occur in an answer; a sentence may occur once."""
    letters_share: float = Field(default=0.5, ge=0.0, le=1.0)
    """`no_letters`: least share of letters, marks and numbers of any script among an answer's non-space characters."""
    yes_no_words: tuple[Words, ...] = (
        *("yes", "no", "yeah", "yep", "nope"),
        *("是", "是的", "对", "有", "不", "不是", "否", "没有"),
        *("はい", "いいえ", "예", "네", "아니요", "oui", "non", "ja", "nein", "nee", "sí", "si", "да", "нет"),
    )
    """`yes_no`: the answers that say nothing but yes or no; case, punctuation and quotes do not matter."""
    banned: tuple[Words, ...] = ()
    """`banned_text`: a prompt that holds one of these letter for letter is dropped."""
    newlines: Literal["keep", "glue"] = "keep"
    """`glue` deletes line breaks and `</s>` from kept answers with nothing in their place, as released."""
    max_pairs: int | None = Field(default=None, ge=1)
    """At most so many pairs of a round are learned from, drawn by their ids; null for all."""


class PairConfig(Config):
    """Which answer of a pair is preferred."""

    control: Literal["none", "swapped", "shuffled"] = "none"
    """Controls of an experiment, not for use: `swapped` prefers the rejected answers, `shuffled` gives every pair the
    rejected answer of another picture."""


class StagesConfig(Config):
    """All that the data half asks, in the order in which it asks."""

    question: QuestionConfig
    """Ask a question about the picture."""
    check: CheckConfig
    """Check that the picture answers it."""
    describe: DescribeConfig
    """Describe the picture."""
    answer: AnswerConfig
    """Answer the question."""
    enhance: EnhanceConfig
    """Improve the answer."""
    corruption: CorruptionConfig = CorruptionConfig()
    """Spoil the picture for the rejected answers."""
    samples: SamplesConfig = SamplesConfig()
    """Or take both answers from samples on the clean picture."""
    filters: FiltersConfig = FiltersConfig()
    """Leave out pairs that teach nothing."""
    pair: PairConfig = PairConfig()
    """Controls."""

    @property
    def needs_scores(self) -> bool:
        """Whether answers are judged by their log-probabilities, which not every engine can tell."""
        return self.samples.count > 0 or "unsupported" in self.filters.names

    def conflict(self) -> str | None:
        """Why these settings cannot go together, with the mend."""
        needs = {
            "enhance.enabled": self.enhance.enabled,
            "samples.count": self.samples.count > 0,
            "filters.names with unsupported": "unsupported" in self.filters.names,
        }
        wanting = [name for name, wants in needs.items() if wants]
        if self.describe.enabled or not wanting:
            return None
        return f"{wanting[0]} needs descriptions: switch it off too, or leave describe.enabled on"
