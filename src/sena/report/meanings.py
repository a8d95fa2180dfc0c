"""What each metric and each alarm is called and means, on pages and in terminals alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric is called, what it means, whether more is better (1), worse (-1) or neither (0), and at what a
    model is better whose metric is (`skill`, for the headline)."""

    label: str
    about: str
    better: int = 1
    skill: str = ""


METRICS = {
    "chair_i": Metric("CHAIR_i", "share of mentioned things that are not in the picture", -1, "inventing nothing"),
    "chair_i_equal": Metric("CHAIR_i at equal length", "the same, both descriptions cut to the shorter one", -1),
    "chair_s": Metric(
        "CHAIR_s", "share of descriptions that mention a thing that is not there", -1, "descriptions without inventions"
    ),
    "coverage": Metric("coverage", "share of the picture's things that are mentioned", 1, "naming what is there"),
    "attribute": Metric("attributes", "share of colours named right", 1, "naming colours"),
    "pope_random": Metric(
        "yes/no, random", "right answers about things drawn at random", 1, "yes/no questions about random things"
    ),
    "pope_popular": Metric(
        "yes/no, popular", "right answers about things that are often seen", 1, "yes/no questions about common things"
    ),
    "pope_adversarial": Metric(
        "yes/no, adversarial",
        "right answers about things that usually stand together",
        1,
        "yes/no questions about things that usually stand together",
    ),
    "vqa": Metric("short answers", "share of short questions answered right", 1, "short questions"),
    "parsed": Metric("parsed", "share of descriptions that the benchmark could read to the end"),
    "length": Metric("length", "words a description", 0),
    "wrong_mentions": Metric("wrong mentions", "things a description mentions that are not there", -1),
    "true_mentions": Metric("true mentions", "things a description mentions that are there", 0),
}

METRICS |= {
    "grounding": Metric("grounding", "nats a token that the picture adds to its own description, against no picture"),
    "grounding_other": Metric("grounding, other picture", "the same, against another picture"),
    "agreement": Metric("agreement", "words in common between the descriptions of two mildly changed views (F1)"),
    "distinct_questions": Metric("distinct questions", "share of its questions that no other picture gets"),
    "duplicates": Metric("duplicates", "share of descriptions that another picture gets too", -1),
    "description_words": Metric("words a description", "growing or shrinking much is a sign of collapse", 0),
    "answer_words": Metric("words an answer", "to the base model's own questions", 0),
    "yes_ratio": Metric("yes answers", "share of yes/no questions answered with yes", 0),
}
"""What is watched on pictures without labels (`evals/watch.py`)."""

METRICS |= {
    name: Metric(name, about, -1, "inventing nothing")
    for name, about in {
        "chair_i_512": "share of mentioned things that are not in the picture, in at most 512 tokens",
        "chair_i_64": "the same in at most 64 tokens",
        "chair": "share of nouns that name what is not there",
        "chair_s_512": "share of descriptions with a thing that is not there, in at most 512 tokens",
        "chair_s_64": "the same in at most 64 tokens",
        "hal": "share of descriptions with a noun for what is not there",
        "cog": "share of tempting things that are named though they are not there",
        "hallucination_rate": "share of answers that the judge rated below 3 of 6",
        "unclear": "share of answers that could not be read, which count as wrong",
    }.items()
}
METRICS |= {
    name: Metric(name, about)
    for name, about in {
        "f1": "mean of precision and recall (harmonic)",
        "strict_f1": "the same, where an answer that begins with neither yes nor no is wrong",
        "accuracy": "share of questions answered right, as the benchmark counts it",
        "strict_accuracy": "the same, where an answer that begins with neither yes nor no is wrong",
        "vanilla_accuracy": "share of questions right in the first order of their choices",
        "pair_accuracy": "share of questions right on all figures that they are asked about",
        "figure_accuracy": "share of figures with all questions right",
        "easy_accuracy": "share right among original figures",
        "hard_accuracy": "share right among altered figures",
        "precision": "share of the answers of the sought kind that are right",
        "recall": "share of what was sought that was found",
        "recall_512": "share of the picture's things that are mentioned, in at most 512 tokens",
        "recall_64": "the same in at most 64 tokens",
        "cover": "share of the listed things that are named",
        "amber_score": "(100 - chair + f1) / 2, both in percent",
        "perception": "points of ten kinds, at most 2000",
        "cognition": "points of four kinds, at most 800",
        "points": "points of the benchmark",
        "relative": "the judge's points of the answers over those of the references",
        "score": "the judge's mean rating",
    }.items()
}
"""The benchmarks on files (`sena bench ls NAME` says exactly what each counts)."""

HALLUCINATION = ("chair_i", "chair_i_512", "chair")
"""What the headline takes for inventing things, the first that was measured."""

LEGEND = "↑ more is better, ↓ less is better"
ARROWS = {1: " ↑", -1: " ↓", 0: ""}
"""Behind a metric's name, on pages and in terminals alike: which way is good, never which way it went."""

ALARMS = {
    "length": "Much longer or shorter descriptions are how collapse begins, and CHAIR alone would praise short ones.",
    "yes_ratio": "The model leans to one answer whatever is asked.",
    "distinct_questions": "It asks the same of every picture, so the next round would learn from fewer questions.",
    "duplicates": "It describes different pictures alike.",
    "grounding": "What it says comes less from the picture: it may have learned to guess.",
    "margin": "It went far from the model it started from: a larger dpo.beta or fewer steps keep it nearer.",
    "drift": "Even the chosen answers changed much in likelihood: more of the alignment term or a smaller rate helps.",
    "not learned": "The preferences of the pairs were not learned: look at the pairs, then at rate and steps.",
    "skill": "A benchmark fell further than chance explains.",
}
"""What each alarm (`evals/alarms.py`) means for whoever reads it."""


def metric(name: str) -> Metric:
    """What is known of a metric (`BENCHMARK/NAME` where there are several); of one that nobody described, that neither
    direction is better."""
    benchmark, _, bare = name.rpartition("/")
    if name in METRICS or bare not in METRICS:
        return METRICS.get(name) or Metric(name, "", 0)
    found = METRICS[bare]
    return replace(found, label=f"{benchmark}: {found.label}")


def label(name: str) -> str:
    """A metric's name with the direction that is good."""
    found = metric(name)
    return f"{found.label}{ARROWS[found.better]}"


def in_order(names: Sequence[str]) -> list[str]:
    """Known metrics in the order above, then the others as they come."""
    known = list(METRICS)
    return sorted(names, key=lambda name: known.index(name) if name in known else len(known))
