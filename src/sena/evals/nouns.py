"""What AMBER needs of language: the nouns of a description, and whether two of them mean nearly the same.

AMBER's own script takes nouns by NLTK and nearness by spaCy's `en_core_web_lg`. Where both are installed they are
used; any other spaCy pipeline, or none, gives an approximation that names itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from sena.evals.words import known, words_of

OFFICIAL = "en_core_web_lg"


@dataclass(frozen=True, slots=True)
class Matcher:
    """`nouns` gives the nouns of a text that belong to AMBER's vocabulary, `nearness` is a cosine from -1 to 1."""

    name: str
    nouns: Callable[[str], list[str]]
    nearness: Callable[[str, str], float]


def best(vocabulary: Collection[str]) -> Matcher:
    """The most faithful matcher that this machine can offer."""
    pipeline = _pipeline()
    if pipeline is None:
        return plain(vocabulary)
    official = _official_nouns(vocabulary) if pipeline.meta.get("name") == OFFICIAL.removeprefix("en_") else None
    return spacy_matcher(pipeline, vocabulary, official)


def plain(vocabulary: Collection[str]) -> Matcher:
    """By words alone: every word of the vocabulary counts as a noun, and only equal words are near."""

    def nouns(text: str) -> list[str]:
        return [found for word in words_of(text) if (found := known(word, vocabulary)) is not None]

    return Matcher(
        "approximate: by words alone, there is no spaCy pipeline with word vectors", nouns, lambda a, b: float(a == b)
    )


def spacy_matcher(
    pipeline: Any, vocabulary: Collection[str], official: Callable[[str], list[str]] | None = None
) -> Matcher:
    """Nouns by a pipeline's tagger, or by `official`; nearness by its word vectors, remembered per pair."""
    seen: dict[tuple[str, str], float] = {}

    def nouns(text: str) -> list[str]:
        tagged = [word for word in pipeline(text) if word.pos_ in ("NOUN", "PROPN")]
        return [found for word in tagged if (found := _in(word, vocabulary)) is not None]

    def nearness(a: str, b: str) -> float:
        if (a, b) not in seen:
            seen[a, b] = float(a == b) if a == b else float(pipeline(a).similarity(pipeline(b)))
        return seen[a, b]

    name = f"{pipeline.meta.get('lang')}_{pipeline.meta.get('name')}"
    told = f"as AMBER's own: NLTK and {name}" if official else f"approximate: spaCy's {name}, not NLTK and {OFFICIAL}"
    return Matcher(told, official or nouns, nearness)


def _in(word: Any, vocabulary: Collection[str]) -> str | None:
    lemma = word.lemma_.lower()
    return lemma if lemma in vocabulary else known(word.text.lower(), vocabulary)


def _pipeline() -> Any:
    """The official spaCy pipeline, else the first English one that has word vectors, else None."""
    try:
        import spacy
    except ImportError:
        return None
    english = [name for name in spacy.util.get_installed_models() if name.startswith("en_")]
    names = [name for name in english if not name.endswith(("_sm", "_trf"))]  # those two sizes have no word vectors
    names.sort(key=lambda name: name != OFFICIAL)
    return spacy.load(names[0]) if names else None


def _official_nouns(vocabulary: Collection[str]) -> Callable[[str], list[str]] | None:
    """NLTK's tagger and WordNet's lemmas, where NLTK and its data are installed."""
    try:
        import nltk
        from nltk.stem import WordNetLemmatizer

        lemma = WordNetLemmatizer().lemmatize
        nltk.pos_tag(nltk.word_tokenize(lemma("tests")))  # raises LookupError where its data is not there
    except (ImportError, LookupError):
        return None

    def nouns(text: str) -> list[str]:
        tagged = nltk.pos_tag(nltk.word_tokenize(text))
        return [noun for word, tag in tagged if tag.startswith("NN") and (noun := lemma(word)) in vocabulary]

    return nouns
