"""What a run cost: seconds, rates and memory of its stages, and what it worked off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sena.progress import unit_of
from sena.report.read import RoundData


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage, as its last start logged it; `round` is None for the sum over rounds. `unit`: what `count` counts."""

    round: int | None
    name: str
    seconds: float
    count: int
    memory: int
    gpu_memory: int

    @property
    def rate(self) -> float:
        return self.count / self.seconds if self.seconds else 0.0

    @property
    def unit(self) -> str:
        return unit_of(self.name)

    @property
    def is_part(self) -> bool:
        """`pairs/check` is a part of `pairs`."""
        return "/" in self.name


@dataclass(frozen=True, slots=True)
class Costs:
    """Sums over the run."""

    stages: list[Stage]
    seconds: float
    images: int
    pairs: int
    pairs_per_second: float
    memory: int
    gpu_memory: int

    @property
    def sums(self) -> list[Stage]:
        """Each stage over all rounds, in the order in which they came first."""
        return [_sum([each for each in self.stages if each.name == name]) for name in self._names()]

    def _names(self) -> list[str]:
        return list({stage.name: None for stage in self.stages})


def _sum(stages: Sequence[Stage]) -> Stage:
    return Stage(
        None,
        stages[0].name,
        sum(each.seconds for each in stages),
        sum(each.count for each in stages),
        max(each.memory for each in stages),
        max(each.gpu_memory for each in stages),
    )


def costs(rounds: Sequence[RoundData], lines: Sequence[dict[str, Any]]) -> Costs:
    """`lines` are those of metrics.jsonl. Pairs a second = pairs of all rounds over the seconds of the data half."""
    stages = [_stage(line) for line in lines if isinstance(line.get("seconds"), int | float)]
    pairs = sum(each.rows.get("pairs", 0) for each in rounds)
    making = sum(stage.seconds for stage in stages if stage.name == "pairs")
    return Costs(
        stages=stages,
        seconds=sum(stage.seconds for stage in stages if not stage.is_part),
        images=sum(each.rows.get("images", 0) for each in rounds if each.number),  # those of round 0 are only watched
        pairs=pairs,
        pairs_per_second=pairs / making if making else 0.0,
        memory=max((stage.memory for stage in stages), default=0),
        gpu_memory=max((stage.gpu_memory for stage in stages), default=0),
    )


def _stage(line: dict[str, Any]) -> Stage:
    memory = (int(line.get(key) or 0) for key in ("peak_rss_bytes", "peak_gpu_bytes"))
    return Stage(line["round"], line["stage"], float(line["seconds"]), int(line.get("count") or 0), *memory)


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
