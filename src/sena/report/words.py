"""Figures in words, as carefully as they deserve: a change is told as one only when its interval leaves zero out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sena.report.meanings import HALLUCINATION, in_order, metric
from sena.report.read import Figure, RoundData, measured

MOST_NAMED = 4


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
    "Behind each difference stands its 95 % interval, from the same pictures of the benchmark under both models"
    "{count}: about one metric in twenty leaves zero out by chance alone, and another seed of the same run may end "
    "elsewhere."
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
    """The answer to: did it get better? `tone` is good, bad, mixed, none or unknown; `proof` puts figures to the
    headline."""

    tone: str
    headline: str
    proof: str = ""
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()


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
    proof = " ".join(part for part in (_invented(base, last), _counted(changes)) if part)
    return Story(tone, _headline(changes, last.number, tone), proof, changes, _notes(last))


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
    bounds = f"{difference['value']:+.3f}, 95 % interval {interval(difference, signed=True)}"
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
    seen = {change.name: change.verdict for change in changes}
    hallucination = next((seen[name] for name in seen if name.rpartition("/")[2] in HALLUCINATION), "unknown")
    worse, better = (_skills(changes, wanted) for wanted in ("worse", "better"))
    if hallucination == "better":
        return f"{after} hallucinates less" + (f", but is worse at {_list(worse)}." if worse else ".")
    if hallucination == "worse":
        return f"{after} hallucinates more" + (f", though it is better at {_list(better)}." if better else ".")
    return {
        "good": f"{after} is better at {_list(better)}; nothing got worse that the intervals can tell.",
        "bad": f"{after} is worse at {_list(worse)}; nothing got better that the intervals can tell.",
        "mixed": f"{after} is better at {_list(better)} and worse at {_list(worse)}.",
        "none": f"{after} is no better and no worse than the base, as far as the intervals can tell.",
        "unknown": f"{after} was measured, but not compared with the base picture by picture.",
    }[tone]


def _skills(changes: Sequence[Change], verdict: str) -> list[str]:
    """At what the model became better or worse, in plain words, each once."""
    known = [metric(change.name) for change in changes if change.verdict == verdict]
    return list({each.skill or each.label: None for each in known})


def _invented(base: RoundData, last: RoundData) -> str:
    """What hallucination is, and how much of it there was and is."""
    name = next((each for each in last.metrics if each.rpartition("/")[2] in HALLUCINATION), "")
    if not name or name not in base.metrics:
        return ""
    about = metric(name).about
    before, after = (f"{100 * each.metrics[name]['value']:.1f} %" for each in (base, last))
    return f"{about[0].upper()}{about[1:]} ({metric(name).label}): {before} before, {after} now."


def _counted(changes: Sequence[Change]) -> str:
    """How many metrics went which way, so that nobody reads one out of many."""
    better, worse = (sum(change.verdict == wanted for change in changes) for wanted in ("better", "worse"))
    if len(changes) < 2 or all(change.verdict == "unknown" for change in changes):
        return ""
    rest = len(changes) - better - worse
    others = f", {rest} did not change clearly or {'have' if rest > 1 else 'has'} no good direction" if rest else ""
    return f"Of {len(changes)} metrics {better or 'none'} got better, {worse or 'none'} got worse{others}."


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
    sizes = {int(figure["n"]) for figure in last.to_base.values() if figure.get("n")}
    return (*notes, CHANCE.format(count=f" ({max(sizes):,})" if len(sizes) == 1 else ""))


def _list(labels: Sequence[str]) -> str:
    """`a, b and c`; of more than four the first three and how many others."""
    if len(labels) > MOST_NAMED:
        labels = [*labels[: MOST_NAMED - 1], f"{len(labels) - MOST_NAMED + 1} others"]
    return ", ".join(labels[:-1]) + f" and {labels[-1]}" if len(labels) > 1 else "".join(labels)
