"""Figures in words, as carefully as they deserve: a change is told as one only when its interval leaves zero out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sena.report.read import Figure, RoundData, measured


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric is called, what it means, and whether more is better (1), worse (-1) or neither (0)."""

    label: str
    about: str
    better: int = 1


METRICS = {
    "chair_i": Metric("CHAIR_i", "share of mentioned things that are not in the picture", -1),
    "chair_i_equal": Metric("CHAIR_i at equal length", "the same, both descriptions cut to the shorter one", -1),
    "chair_s": Metric("CHAIR_s", "share of descriptions that mention a thing that is not there", -1),
    "coverage": Metric("coverage", "share of the picture's things that are mentioned"),
    "attribute": Metric("attributes", "share of colours named right"),
    "pope_random": Metric("yes/no, random", "right answers about things drawn at random"),
    "pope_popular": Metric("yes/no, popular", "right answers about things that are often seen"),
    "pope_adversarial": Metric("yes/no, adversarial", "right answers about things that usually stand together"),
    "vqa": Metric("short answers", "share of short questions answered right"),
    "parsed": Metric("parsed", "share of descriptions that the benchmark could read to the end"),
    "length": Metric("length", "words a description", 0),
    "wrong_mentions": Metric("wrong mentions", "things a description mentions that are not there", -1),
    "true_mentions": Metric("true mentions", "things a description mentions that are there", 0),
    "yes_ratio": Metric("yes", "share of yes/no questions answered with yes", 0),
}

METRICS |= {
    "grounding": Metric("grounding", "nats a token that the picture adds to its own description, against no picture"),
    "grounding_other": Metric("grounding, other picture", "the same, against another picture"),
    "agreement": Metric("agreement", "words in common between the descriptions of two mildly changed views (F1)"),
    "distinct_questions": Metric("distinct questions", "share of its questions that no other picture gets"),
    "duplicates": Metric("duplicates", "share of descriptions that another picture gets too", -1),
    "description_words": Metric("words a description", "growing or shrinking much is a sign of collapse", 0),
    "answer_words": Metric("words an answer", "to the base model's own questions", 0),
}
"""What is watched on pictures without labels (`evals/watch.py`)."""

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

_MORE = """f1 strict_f1 accuracy strict_accuracy vanilla_accuracy pair_accuracy figure_accuracy easy_accuracy
hard_accuracy precision recall recall_512 recall_64 cover amber_score perception cognition points relative score"""
_LESS = "chair_i_512 chair_s_512 chair_i_64 chair_s_64 chair hal cog hallucination_rate unclear"
METRICS |= {name: Metric(name, "", better) for names, better in ((_MORE, 1), (_LESS, -1)) for name in names.split()}
"""The benchmarks on files (`sena bench ls NAME` says what each means)."""

SIGNS = {
    "better": "better",
    "worse": "worse",
    "changed": "changed",
    "same": "no clear change",
    "unknown": "not compared",
    "base": "base",
}
"""A verdict as the pages say it."""

CHANCE = (
    "An interval is a 95 % interval over the pictures of the benchmark: about one metric in twenty leaves zero out by "
    "chance alone, and another seed of the same run may end elsewhere."
)

OWN = (
    "On your own pictures no truth is known, so nothing here is a score. Read the pairs below: is what was chosen "
    "truer than what was rejected? Benchmarks are named under eval.benchmarks in the recipe."
)


@dataclass(frozen=True, slots=True)
class Change:
    """One metric from the base to a later round. `verdict`: better, worse, changed (neither is better), or same."""

    name: str
    verdict: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Story:
    """The answer to: did it get better? `tone` is good, bad, mixed, none or unknown."""

    tone: str
    headline: str
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()


def metric(name: str) -> Metric:
    """What is known of a metric; of one that nobody described, that neither direction is better."""
    return METRICS.get(name) or METRICS.get(name.rpartition("/")[2]) or Metric(name, "", 0)


def in_order(names: Sequence[str]) -> list[str]:
    """Known metrics in the order above, then the others as they come."""
    known = list(METRICS)
    return sorted(names, key=lambda name: known.index(name) if name in known else len(known))


def number(value: float) -> str:
    """Three decimals for shares, one for large figures."""
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def interval(figure: Figure, signed: bool = False, dash: str = " to ") -> str:
    low, high = (f"{figure[end]:+.3f}" if signed else number(figure[end]) for end in ("low", "high"))
    return f"{low}{dash}{high}"


def verdict(name: str, difference: Figure | None) -> str:
    """better, worse or changed where the paired interval leaves zero out, else same; unknown without a difference."""
    if difference is None:
        return "unknown"
    if difference["low"] <= 0 <= difference["high"]:
        return "same"
    good = metric(name).better * (1 if difference["value"] > 0 else -1)
    return {1: "better", -1: "worse", 0: "changed"}[good]


def tell(rounds: Sequence[RoundData]) -> Story:
    """What the evidence says about the last measured round, against the base."""
    known = measured(rounds)
    if not known:
        return _unmeasured(rounds)
    base, last = known[0], known[-1]
    if base.number != 0:
        return Story("unknown", "The base model was not measured, so there is nothing to compare with.")
    if last.number == 0:
        return Story("unknown", "So far only the base model was measured: no round has been judged yet.")
    changes = tuple(
        _change(name, base.metrics[name], last.metrics[name], last.to_base.get(name))
        for name in in_order([name for name in last.metrics if name in base.metrics])
    )
    tone = _tone(changes)
    return Story(tone, _headline(changes, last.number, tone), changes, _notes(last))


def _unmeasured(rounds: Sequence[RoundData]) -> Story:
    if any(each.folder.evidence.is_file() for each in rounds if each.number):
        return Story(
            "unknown", "Whether the model got better was not measured: the run has no benchmark.", notes=(OWN,)
        )
    return Story("unknown", "Nothing has been measured yet.")


def _change(name: str, before: Figure, after: Figure, difference: Figure | None) -> Change:
    label, found = metric(name).label, verdict(name, difference)
    path = f"from {number(before['value'])} to {number(after['value'])}"
    if difference is None:
        return Change(name, found, f"{label} went {path}; the difference was not compared picture by picture.")
    bounds = f"95 % interval of the paired difference {interval(difference, signed=True)}"
    if found == "same":
        return Change(name, found, f"{label} {path}: no change that the interval can tell from none ({bounds}).")
    verb = "rose" if difference["value"] > 0 else "fell"
    return Change(name, found, f"{label} {verb} {path} ({bounds}).")


def _tone(changes: Sequence[Change]) -> str:
    found = {change.verdict for change in changes}
    if {"better", "worse"} <= found:
        return "mixed"
    if "better" in found:
        return "good"
    if "worse" in found:
        return "bad"
    return "none" if found & {"same", "changed"} else "unknown"


def _headline(changes: Sequence[Change], number: int, tone: str) -> str:
    after = f"After round {number} the model"
    hallucination = next((change.verdict for change in changes if change.name == "chair_i"), "unknown")
    worse = [metric(change.name).label for change in changes if change.verdict == "worse"]
    better = [metric(change.name).label for change in changes if change.verdict == "better"]
    if hallucination == "better":
        return f"{after} hallucinates less" + (f", but lost in {_list(worse)}." if worse else ".")
    if hallucination == "worse":
        return f"{after} hallucinates more" + (f", though it gained in {_list(better)}." if better else ".")
    return {
        "good": f"{after} gained in {_list(better)}; nothing got worse that the intervals can tell.",
        "bad": f"{after} lost in {_list(worse)}; nothing got better that the intervals can tell.",
        "mixed": f"{after} gained in {_list(better)} and lost in {_list(worse)}.",
        "none": f"{after} is no better and no worse than the base, as far as the intervals can tell.",
        "unknown": f"{after} was measured, but not compared with the base picture by picture.",
    }[tone]


def _notes(last: RoundData) -> tuple[str, ...]:
    """Facts that change how the metrics are to be read."""
    notes = []
    equal = last.to_base.get("chair_i_equal")
    if equal is not None:
        found = verdict("chair_i_equal", equal)
        told = {"better": "it still fell", "worse": "it rose", "same": "no change can be told from none"}[found]
        notes.append(
            f"With both descriptions cut to the shorter one, CHAIR_i changed by {equal['value']:+.3f} "
            f"({interval(equal, signed=True)}): {told}. This takes saying less out of the comparison."
        )
    return (*notes, CHANCE)


def _list(labels: Sequence[str]) -> str:
    return ", ".join(labels[:-1]) + f" and {labels[-1]}" if len(labels) > 1 else "".join(labels)
