"""AMBER: hallucination in descriptions and in yes/no answers, without a judge (Wang et al. 2023, arXiv 2311.07397).

Yes/no questions are about existence, attributes and relations, and "no" is the positive class: a model that
hallucinates says yes too often. Descriptions are compared with what people listed as there and as tempting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sena.errors import SenaError
from sena.evals import figures, reading, replies
from sena.evals.figures import Measured, Totals
from sena.evals.nouns import Matcher, best
from sena.evals.suite import SHORT, About, Answer, Question, Suite, grouped

NEAR = 0.8  # AMBER's own bound for two words that mean the same
KINDS = ("existence", "attribute", "relation")
ABOUT = About(
    name="amber",
    title="AMBER: descriptions and yes/no questions on 1,004 pictures",
    files=(
        ("amber/query_all.json", "all questions (data/query)"),
        ("amber/annotations.json", "the truth (data)"),
        ("amber/relation.json", "words that mean nearly the same (data)"),
        ("amber/safe_words.txt", "words that never count as wrong (data)"),
        ("amber/image/", "the pictures, AMBER_1.jpg and so on"),
    ),
    source="github.com/junyangwang0410/AMBER, folder data, and its link to the pictures",
    prompt=f"descriptions: the question as it is; yes/no: the question, a line break, {SHORT!r}",
    metric="chair: share of nouns that are wrong; cover: share of the listed things named; hal: share of descriptions "
    "with a wrong noun; cog: share of tempting things named; accuracy, precision, recall, f1 with no as positive; "
    "amber_score: (100 - chair + f1) / 2, both in percent",
)


@dataclass(frozen=True, slots=True)
class Lexicon:
    """`relations` maps a thing to other words for it, `safe` are words that count but are never wrong."""

    relations: Mapping[str, Sequence[str]]
    safe: frozenset[str]
    matcher: Matcher


def load(root: Path) -> Suite:
    """Read questions, truth and word lists. Raises SenaError for what is missing."""
    folder = root / "amber"
    relations = reading.read_json(folder / "relation.json")
    safe = reading.present(folder / "safe_words.txt").read_text(encoding="utf-8").split("\n")
    vocabulary = {*relations, *(word for near in relations.values() for word in near)}
    lexicon = Lexicon(relations, frozenset(filter(None, safe)), best(vocabulary))
    return Suite(
        ABOUT,
        grouped(_questions(folder)),
        lambda answers: count(answers, lexicon),
        measure,
        reading.opener(root),
        reading.demand(root),
        notes={"matcher": lexicon.matcher.name},
    )


def _questions(folder: Path) -> list[Question]:
    asked, truths = folder / "query_all.json", folder / "annotations.json"
    truth_of = {row["id"]: row for row in reading.checked(reading.read_json(truths), ("id", "type", "truth"), truths)}
    questions = []
    for row in reading.checked(reading.read_json(asked), ("id", "image", "query"), asked):
        truth = truth_of.get(row["id"])
        if truth is None:
            raise SenaError(f"{truths} has no entry {row['id']}, which {asked} asks: take both from the same release")
        questions.append(_question(row, truth))
    return questions


def _question(row: dict[str, Any], truth: dict[str, Any]) -> Question:
    name, image = str(row["id"]), f"amber/image/{reading.inside(row['image'])}"
    if truth["type"] == "generative":
        lists = {"truth": truth["truth"], "hallu": truth.get("hallu", [])}
        return Question(name, row["query"], image, lists, "generative", max_new_tokens=512)
    kind = "attribute" if "attribute" in truth["type"] else "relation"
    kind = "existence" if "hallucination" in truth["type"] else kind
    return Question(name, f"{row['query']}\n{SHORT}", image, truth["truth"], kind)


def count(answers: Sequence[Answer], lexicon: Lexicon) -> dict[str, float]:
    counts: Counter[str] = Counter()
    for answer in answers:
        if answer.group == "generative":
            counts.update(_described(answer, lexicon))
        else:
            for where in ("", f"{answer.group}/"):
                counts.update(_answered(answer.truth, replies.yes_or_no(answer.text), where))
    return {name: float(number) for name, number in counts.items()}


def _answered(truth: str, said: str, where: str) -> dict[str, int]:
    return {
        f"{where}asked": 1,
        f"{where}right": said == truth,
        f"{where}no": said == "no",
        f"{where}true_no": truth == "no",
        f"{where}hit": said == truth == "no",
        f"{where}unclear": not said,
    }


def _described(answer: Answer, lexicon: Lexicon) -> dict[str, int]:
    """Each noun marks the first listed thing that it is a word for; else the first near one; else it is wrong."""
    there, tempting = answer.truth["truth"], answer.truth["hallu"]
    there_words, tempting_words = _words(there, lexicon), _words(tempting, lexicon)
    nouns = lexicon.matcher.nouns(answer.text)
    covered: set[int] = set()
    tempted: set[int] = set()
    wrong = 0
    for noun in nouns:
        if noun in lexicon.safe:
            continue
        exact = [place for word, place in there_words if word == noun][:1]
        if exact:
            covered.update(exact)
            continue
        tempted.update([place for word, place in tempting_words if word == noun][:1])
        tempted.update(_near(noun, tempting_words, lexicon.matcher))
        near = _near(noun, there_words, lexicon.matcher)
        covered.update(near)
        wrong += not near
    return {
        "nouns": len(nouns),
        "wrong": wrong,
        "described": 1,
        "spoiled": wrong > 0,
        "covered": len(covered),
        "there": len(there),
        "tempted": len(tempted),
        "tempting": len(tempting),
    }


def _words(things: Sequence[str], lexicon: Lexicon) -> list[tuple[str, int]]:
    """(word, place of its thing): first the other words for all things, then the things, as AMBER's script goes."""
    others = [(word, place) for place, thing in enumerate(things) for word in lexicon.relations.get(thing, ())]
    return others + [(thing, place) for place, thing in enumerate(things)]


def _near(noun: str, words: Sequence[tuple[str, int]], matcher: Matcher) -> list[int]:
    return next(([place] for word, place in words if matcher.nearness(noun, word) > NEAR), [])


def measure(total: Totals) -> dict[str, Measured]:
    found = {
        "chair": total.share("wrong", "nouns"),
        "cover": total.share("covered", "there"),
        "hal": total.share("spoiled", "described"),
        "cog": total.share("tempted", "tempting"),
    }
    found |= _answer_metrics(total, "")
    score = (100 - 100 * found["chair"][0] + 100 * found["f1"][0]) / 2
    found = {"amber_score": (score, total["asked"]), **found, "unclear": total.share("unclear", "asked")}
    for kind in KINDS:
        found |= _answer_metrics(total, f"{kind}/")
    return found


def _answer_metrics(total: Totals, where: str) -> dict[str, Measured]:
    precision, recall = total.share(f"{where}hit", f"{where}no"), total.share(f"{where}hit", f"{where}true_no")
    return {
        f"{where}accuracy": total.share(f"{where}right", f"{where}asked"),
        f"{where}precision": precision,
        f"{where}recall": recall,
        f"{where}f1": (figures.harmonic(precision[0], recall[0], 0.0001), total[f"{where}asked"]),
    }
