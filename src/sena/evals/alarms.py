"""Alarms: a round after which the model is worse in form or substance, told from figures alone, each for one reason.

The thresholds lie between what healthy runs of the miniature and runs made to collapse read with seeds 100 to 104, and
are judged on seeds 0 to 4 (`scripts/alarms.py`; docs/evidence.md says what came of it). Every comparison is with the
base model. Nats a pair grow with the length of answers, so for long ones `MARGIN_MOST` and `DRIFT_MOST` are strict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sena.stats import Figure

Figures = Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class Alarm:
    """`name` is one of a few fixed words; `text` says in one sentence what happened."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Training:
    """Means over the last quarter of a round's optimizer steps. Nats a pair: reward margin / beta, and how far the
    chosen answers moved from the reference. `accuracy`: share of pairs whose chosen answer has the larger reward."""

    margin: float
    drift: float
    accuracy: float


LONGER, SHORTER = 1.25, 0.8
"""Words a description, as a multiple of the base's."""
YES_MOVED = 0.4
"""Healthy runs of the miniature unlearn a habit of yes, and move by up to .33."""
YES_LEAST = 20
"""Yes/no answers that both models must have given before their shares say anything."""
DIVERSITY_LOST = 0.25
DUPLICATES_GAINED = 0.25
GROUNDING_LOST = 0.04
"""Share of the base's grounding score that is gone, the paired interval below zero. Healthy runs gain."""
MARGIN_MOST = 12.0
DRIFT_MOST = 10.0
ACCURACY_LEAST = 0.5
SKILL_LOST = 0.03
"""Of a benchmark's metrics of which more is better, the whole paired interval beyond this."""


def alarms(watched: Figures, base: Figures, change: Figures, training: Training | None, skills: Figures) -> list[Alarm]:
    """What speaks against a round. `watched` and `base` are the scores without labels of its model and of the base,
    `change` their paired difference, `skills` the paired differences of benchmark metrics of which more is better."""
    found = [
        _length(watched, base),
        _yes(watched, base, change),
        _fell(change, "distinct_questions", DIVERSITY_LOST, "questions that no other picture gets fell by {0:.0%}"),
        _rose(change, "duplicates", DUPLICATES_GAINED, "descriptions that another picture gets too rose by {0:.0%}"),
        _grounding(base, change),
        *(_training(training) if training else []),
        *(_skill(name, figure) for name, figure in skills.items()),
    ]
    return [alarm for alarm in found if alarm is not None]


def readings(
    watched: Figures, base: Figures, change: Figures, training: Training | None, skills: Figures
) -> dict[str, float]:
    """The number that each alarm looks at, by the alarm's name, as far as it is known: what thresholds are set from.

    `length` in multiples of the base's words, `grounding` as a share of the base's, `skill` the least upper end.
    """
    moved = ("distinct_questions", "duplicates", *(["yes_ratio"] if _enough_yes(watched, base) else []))
    found = {name: change[name]["value"] for name in moved if name in change}
    times, before = _times(watched, base), base.get("grounding", {}).get("value", 0.0)
    if times is not None:
        found["length"] = times
    if "grounding" in change and before > 0:
        found["grounding"] = change["grounding"]["value"] / before
    if training:
        found |= {"margin": training.margin, "drift": training.drift, "not learned": training.accuracy}
    if skills:
        found["skill"] = min(figure["high"] for figure in skills.values())
    return found


def _times(watched: Figures, base: Figures) -> float | None:
    if "description_words" not in watched or not base.get("description_words", {}).get("value"):
        return None
    return watched["description_words"]["value"] / base["description_words"]["value"]


def _length(watched: Figures, base: Figures) -> Alarm | None:
    times = _times(watched, base)
    if times is None or SHORTER <= times <= LONGER:
        return None
    return Alarm("length", f"descriptions have {times:.2f} times the base's words")


def _enough_yes(watched: Figures, base: Figures) -> bool:
    return all(each.get("yes_ratio", {}).get("n", 0) >= YES_LEAST for each in (watched, base))


def _yes(watched: Figures, base: Figures, change: Figures) -> Alarm | None:
    figure = change.get("yes_ratio")
    if figure is None or not _enough_yes(watched, base):
        return None
    if abs(figure["value"]) <= YES_MOVED or figure["low"] <= 0 <= figure["high"]:
        return None
    return Alarm("yes_ratio", f"the share of yes among its yes/no answers moved by {figure['value']:+.2f}")


def _fell(change: Figures, name: str, most: float, text: str) -> Alarm | None:
    figure = change.get(name)
    return Alarm(name, text.format(-figure["value"])) if figure and figure["value"] < -most else None


def _rose(change: Figures, name: str, most: float, text: str) -> Alarm | None:
    figure = change.get(name)
    return Alarm(name, text.format(figure["value"])) if figure and figure["value"] > most else None


def _grounding(base: Figures, change: Figures) -> Alarm | None:
    figure = change.get("grounding")
    before = base.get("grounding", {}).get("value", 0.0)
    if figure is None or before <= 0 or figure["high"] >= 0 or -figure["value"] < GROUNDING_LOST * before:
        return None
    return Alarm("grounding", f"the picture adds {-figure['value']:.2f} nats a token less to its own descriptions")


def _training(seen: Training) -> list[Alarm]:
    found = []
    if seen.margin > MARGIN_MOST:
        found.append(
            Alarm("margin", f"the margin of log-ratios grew to {seen.margin:.0f} nats: far from the reference")
        )
    if abs(seen.drift) > DRIFT_MOST:
        way = "less" if seen.drift < 0 else "more"
        found.append(Alarm("drift", f"chosen answers became {abs(seen.drift):.0f} nats {way} likely"))
    if seen.accuracy < ACCURACY_LEAST:
        found.append(
            Alarm("not learned", f"only {seen.accuracy:.0%} of the last pairs are preferred as they should be")
        )
    return found


def _skill(name: str, figure: Figure) -> Alarm | None:
    if figure["high"] >= -SKILL_LOST:
        return None
    return Alarm("skill", f"{name} fell by {-figure['value']:.3f}")
