"""A run folder as the report needs it, whatever is there by now: rounds may be half done, evidence may be missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from sena import files
from sena.data.funnel import COUNTED, count_rows
from sena.data.run_stage import Dropped, Said
from sena.images.sources import Skipped
from sena.records import Image, Pair, Row
from sena.runs import tables as parquet
from sena.runs.folder import RoundFolder, RunFolder
from sena.runs.stored import Stored

Figure = dict[str, float]
KINDS: dict[str, type] = {"questions": Row, "answers": Row, "pairs": Pair, "drops": Dropped, "replies": Said}
TABLES: dict[str, type] = {**KINDS, "images": Image}
LAST = chr(0x10FFFF)
"""Behind all other letters."""
Key = TypeVar("Key")
STAGES = ("question", "check", "answer", "enhance", "reject")


@dataclass(frozen=True)
class RoundData:
    """One round, read piece by piece when first asked for. Round 0 is the base: it has metrics and no rows."""

    folder: RoundFolder
    metrics: dict[str, Figure] = field(default_factory=dict)
    to_base: dict[str, Figure] = field(default_factory=dict)
    watched: dict[str, Figure] = field(default_factory=dict)
    watched_to_base: dict[str, Figure] = field(default_factory=dict)
    alarms: tuple[tuple[str, str], ...] = ()
    """What is watched without labels, and what gave alarm: (name, text)."""

    @property
    def number(self) -> int:
        return self.folder.number

    @property
    def complete(self) -> bool:
        """Whether the data half is done."""
        return self.folder.funnel.is_file()

    @cached_property
    def rows(self) -> dict[str, Any]:
        """The funnel: as counted at the end of the data half, or of the shards that are whole by now."""
        if self.complete:
            return files.read_json(self.folder.funnel)
        if not self.folder.images.is_file():
            return {}
        return count_rows(len(self.images), {name: self.keys(name, kind) for name, kind in COUNTED.items()})

    @cached_property
    def imported(self) -> dict[str, str]:
        """Where the pairs of a `sena train` come from (`file`, `layout`); empty for a round that made its own."""
        path = self.folder.path / "imported.json"
        return files.read_json(path) if path.is_file() else {}

    @cached_property
    def images(self) -> Sequence[Image]:
        return Stored(self.folder.images, Image) if self.folder.images.is_file() else ()

    @cached_property
    def skipped(self) -> list[Skipped]:
        return _read(self.folder.skipped, Skipped)

    @cached_property
    def questions(self) -> list[Row]:
        return self._table("questions")

    @cached_property
    def answers(self) -> list[Row]:
        return self._table("answers")

    @cached_property
    def pairs(self) -> list[Pair]:
        return self._table("pairs")

    @cached_property
    def drops(self) -> list[Dropped]:
        return self._table("drops")

    @cached_property
    def replies(self) -> list[Said]:
        return self._table("replies")

    def keys(self, name: str, kind: type[Key]) -> list[Key]:
        """A few columns of a whole table, `kind` says which."""
        return [key for path in table_files(self.folder, name) for key in parquet.read(path, kind)]

    def some(self, name: str, column: str, values: Iterable[str]) -> list[Any]:
        """The records of a table whose `column` is one of `values`, without holding the others."""
        wanted = [(column, "in", sorted(set(values)))]
        paths = table_files(self.folder, name) if wanted[0][2] else []
        return [record for path in paths for record in parquet.read(path, TABLES[name], wanted)]

    def beginning(self, name: str, letters: str) -> list[Any]:
        """The records of a table whose id begins so."""
        wanted = [("id", ">=", letters), ("id", "<", letters + LAST)]
        kind = TABLES[name]
        return [record for path in table_files(self.folder, name) for record in parquet.read(path, kind, wanted)]

    def said_of(self, image_ids: Iterable[str]) -> dict[str, list[Said]]:
        """The replies about a few pictures by row id, in the order of their stages."""
        found: dict[str, list[Said]] = {}
        for said in self.some("replies", "image_id", image_ids):
            found.setdefault(said.id.partition("/")[0], []).append(said)
        return {row: sorted(said, key=turn) for row, said in found.items()}

    def scores_of(self, pair_ids: Iterable[str]) -> dict[str, tuple[float, float]]:
        """Summed log-probabilities of chosen and rejected under the reference, of pairs that have them."""
        import pyarrow.dataset as ds

        wanted, folder = list(pair_ids), self.folder.reference
        parts = sorted(folder.glob("part-*.parquet")) if (folder / "manifest.json").is_file() and wanted else []
        if not parts:
            return {}
        known = ds.dataset([str(part) for part in parts], format="parquet")
        rows = known.to_table(["id", "chosen", "rejected"], filter=ds.field("id").isin(wanted)).to_pylist()
        return {row["id"]: (row["chosen"], row["rejected"]) for row in rows}

    def _table(self, name: str) -> list[Any]:
        return [record for path in table_files(self.folder, name) for record in parquet.read(path, KINDS[name])]


def turn(reply: Said) -> tuple[int, int, str]:
    """When a reply was given: stages in their order, then attempts (`row/stage/attempt/part`), later stages last."""
    stage = STAGES.index(reply.stage) if reply.stage in STAGES else len(STAGES)
    attempt = reply.id.split("/")[2:3]
    return stage, int(attempt[0]) if attempt and attempt[0].isdigit() else 0, reply.id


def table_files(folder: RoundFolder, name: str) -> list[Path]:
    """The round's table, or those of the shards whose manifest, written last, says that they are whole."""
    if folder.table(name).is_file():
        return [folder.table(name)]
    shards = sorted((folder.path / "shards").glob("*"))
    parts = [shard / f"{name}.parquet" for shard in shards if (shard / "manifest.json").is_file()]
    return [part for part in parts if part.is_file()]


def read_rounds(run: RunFolder) -> list[RoundData]:
    """All rounds that have begun, round 0 always first, even before the base was measured."""
    folders = {folder.number: folder for folder in (run.round(0), *run.rounds())}
    return [_round(folders[number]) for number in sorted(folders)]


def _round(folder: RoundFolder) -> RoundData:
    evidence = files.read_json(folder.evidence) if folder.evidence.is_file() else {}
    benchmarks, watched = evidence.get("benchmarks", {}), evidence.get("watched", {})
    return RoundData(
        folder,
        _flat(benchmarks, "metrics"),
        _flat(benchmarks, "to_base"),
        watched.get("metrics", {}),
        watched.get("to_base", {}),
        tuple((alarm["name"], alarm["text"]) for alarm in evidence.get("alarms", [])),
    )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run came: rounds judged, rounds wanted (None when its recipe does not say), why it stopped early."""

    done: int
    wanted: int | None
    why: str = ""

    @property
    def is_finished(self) -> bool:
        return self.done == self.wanted


def progress(run: RunFolder, rounds: Sequence[RoundData]) -> Progress:
    """From the run folder alone, so a run that was killed is told as one that is not finished."""
    done = sum(each.folder.evidence.is_file() for each in rounds if each.number)
    settings = recipe_values(run)
    wanted = settings.get("run", {}).get("rounds") if isinstance(settings.get("run"), dict) else None
    stopped = files.read_json(run.stopped) if run.stopped.is_file() else {}
    if not stopped and _gave_up(settings, rounds, done):
        stopped = {"why": "the last round gave alarm, and the recipe wants to stop then (eval.on_regression)"}
    return Progress(done, wanted if isinstance(wanted, int) else None, str(stopped.get("why", "")))


def _gave_up(settings: dict[str, Any], rounds: Sequence[RoundData], done: int) -> bool:
    """Whether the run ended of itself, at an alarm."""
    judged = settings.get("eval")
    wants = isinstance(judged, dict) and judged.get("on_regression") == "stop"
    return wants and any(each.number == done and each.alarms for each in rounds)


def recipe_values(run: RunFolder) -> dict[str, Any]:
    """The recipe as it was run, unchecked; empty when it cannot be read."""
    import yaml

    try:
        found = yaml.safe_load(run.recipe.read_text(errors="replace")) if run.recipe.is_file() else {}
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def watch_only(rounds: Iterable[RoundData]) -> list[RoundData]:
    """The same rounds with the scores without labels in place of the metrics, so that both are told alike."""
    return [replace(each, metrics=each.watched, to_base=each.watched_to_base) for each in rounds]


def _flat(benchmarks: dict[str, Any], part: str) -> dict[str, Figure]:
    """The whole metrics of all benchmarks (a part is called PART/METRIC). Where there are several, `benchmark/name`,
    but for the miniature's, which need no other name."""
    flat: dict[str, Figure] = {}
    for benchmark in sorted(benchmarks):
        plain = benchmark == "mini" or len(benchmarks) == 1
        for name, figure in benchmarks[benchmark].get(part, {}).items():
            if "/" not in name:
                flat[name if plain else f"{benchmark}/{name}"] = figure
    return flat


def measured(rounds: Iterable[RoundData]) -> list[RoundData]:
    """The rounds with metrics."""
    return [each for each in rounds if each.metrics]


def _read(path: Path, kind: type) -> list[Any]:
    return parquet.read(path, kind) if path.is_file() else []
