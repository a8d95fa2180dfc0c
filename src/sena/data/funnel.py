"""Counts of a round's rows on their way, added up part by part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class PairKey:
    """As much of a pair as is needed to choose some of a million."""

    id: str
    image_id: str
    kind: str


@dataclass(frozen=True, slots=True)
class DropKey:
    id: str
    stage: str
    reason: str


@dataclass(frozen=True, slots=True)
class RowKey:
    id: str


@dataclass(frozen=True, slots=True)
class ReplyKey:
    stable: bool | None


COUNTED: dict[str, type] = {
    "questions": RowKey, "answers": RowKey, "pairs": PairKey, "drops": DropKey, "replies": ReplyKey
}  # fmt: skip
"""As much of each table as counting the rows needs."""


@dataclass(slots=True)
class Funnel:
    """How many rows there were of each table. All pairs of an image have to come in one part."""

    rows: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    dropped: dict[str, Counter[str]] = field(default_factory=dict)
    with_pairs: int = 0
    known: Counter[bool] = field(default_factory=Counter)
    """Replies of which is known whether encoding them again gives their tokens, and whether it does."""

    def add(self, tables: Mapping[str, Iterable[Any]]) -> None:
        """Some or all tables of a part; their records need only have the fields of `COUNTED`."""
        for name, records in tables.items():
            records = list(records)
            self.rows[name] += len(records)
            if name == "pairs":
                self.kinds.update(pair.kind for pair in records)
                self.with_pairs += len({pair.image_id for pair in records})
            elif name == "drops":
                for drop in records:
                    self.dropped.setdefault(drop.stage, Counter())[drop.reason] += 1
            elif name == "replies":
                self.known.update(said.stable for said in records if said.stable is not None)

    def told(self, images: int) -> dict[str, Any]:
        """The funnel of a round of so many images, as JSON."""
        known = self.known.total()
        return {
            "images": images,
            "questions": self.rows["questions"],
            "answers": self.rows["answers"],
            "pairs": self.rows["pairs"],
            "pairs_by_kind": dict(sorted(self.kinds.items())),
            "images_with_pairs": self.with_pairs,
            "dropped": {stage: dict(sorted(reasons.items())) for stage, reasons in sorted(self.dropped.items())},
            "replies": self.rows["replies"],
            "reencoded_differently": self.known[False] / known if known else 0.0,
        }


def count_rows(images: int, tables: Mapping[str, Iterable[Any]]) -> dict[str, Any]:
    """The funnel of one round of so many images, from its tables alone."""
    funnel = Funnel()
    funnel.add(tables)
    return funnel.told(images)
