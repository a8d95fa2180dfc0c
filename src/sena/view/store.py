"""The tables of a run, asked as the page's own script asks its rows: all filters, counts and pages by DuckDB.

An index in memory holds each row's id, facets and numbers; texts stay in the Parquet files until they are shown. It is
made anew when the files change, so that a run at work can be looked at.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from sena.data.run_stage import Dropped, Said
from sena.errors import SenaError
from sena.records import Image, Pair, Row
from sena.report.read import table_files
from sena.runs import tables
from sena.runs.folder import RoundFolder, RunFolder
from sena.text import printable

Record = TypeVar("Record")
KINDS: dict[str, type] = {"images": Image, "answers": Row, "pairs": Pair, "drops": Dropped, "replies": Said}
FACETS = ("kept", "round", "kind", "spoiled by", "enhanced", "question", "dropped by", "reason", "flagged")
NUMBERS = ("length of chosen", "length of rejected", "margin", "chosen log-probability", "support")
SETTINGS = {
    "preserve_insertion_order": False,
    "temp_directory": str(Path(tempfile.gettempdir()) / "sena-view"),
    "autoinstall_known_extensions": False,  # nothing is fetched
    "autoload_known_extensions": False,
}
BINS = 12
ID = re.compile("[0-9a-f]+")
MOST_ROWS = 100

INDEX = """
CREATE OR REPLACE TABLE rows AS
SELECT p.id, p.round AS turn, 'pair' AS kept, p.round::VARCHAR AS round, p.kind,
    if(p.corruption = '', 'not spoiled', p.corruption) AS "spoiled by",
    if(p.plain = '', NULL, if(p.plain = p.chosen, 'unchanged', 'changed')) AS enhanced,
    if(p.kind <> 'answer' OR len(a.asked) = 0, NULL,
       if(a.question = a.asked[1], 'kept as asked', 'changed by the check')) AS question,
    NULL::VARCHAR AS "dropped by", NULL::VARCHAR AS reason, 'no' AS flagged,
    length(p.chosen)::DOUBLE AS "length of chosen", length(p.rejected)::DOUBLE AS "length of rejected",
    r.chosen - r.rejected AS margin, r.chosen AS "chosen log-probability", p.support
FROM pairs p LEFT JOIN answers a ON a.id = p.row_id LEFT JOIN reference r ON r.id = p.id
UNION ALL
SELECT id, round, 'dropped', round::VARCHAR, kind, NULL, NULL, NULL, left(stage, 80), left(reason, 80), 'no',
    NULL, NULL, NULL, NULL, NULL
FROM drops
"""
HITS = """
CREATE OR REPLACE TEMP TABLE hits AS
WITH seen AS (
    SELECT * FROM (SELECT id, {seen} FROM (SELECT *, array_to_string(asked, chr(10)) AS tried FROM answers))
    WHERE {any}
)
SELECT p.id FROM pairs p LEFT JOIN seen ON seen.id = p.row_id WHERE {pairs}
UNION ALL
SELECT id FROM drops WHERE {drops}
"""
"""Each word is sought in each text as it lies in its column: no text is joined or copied for it."""
OF_ROWS = ("question", "description", "tried")
OF_PAIRS = ("p.chosen", "p.rejected", "p.prompt")
OF_DROPS = ("prompt", "chosen", "rejected", "detail")
MOST_WORDS = 12
ORDER = "turn DESC, kept DESC, id"


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for, as `explore.js` says it. Ranges are (low, high, whether the high end belongs to it)."""

    words: str = ""
    facets: Mapping[str, str] = field(default_factory=dict)
    ranges: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    sort: str = ""
    id: str = ""
    start: int = 0
    count: int = 20

    @property
    def size(self) -> int:
        return max(0, min(self.count, MOST_ROWS))


@dataclass(frozen=True, slots=True)
class Answer:
    """Ids and rounds of the rows to show, and what else could be chosen. `facets` and `histograms` as the page's."""

    total: int
    all: int
    ids: list[tuple[str, str]]
    facets: list[tuple[str, list[tuple[str, int]]]]
    histograms: list[tuple[str, float, float, list[int]]]


class Store:
    """Not for several threads at once: the server asks in turn."""

    def __init__(self, run: RunFolder, flagged: Iterable[str] = ()) -> None:
        self.run = run
        self.flagged = set(flagged)
        self.db = _duckdb().connect(config=SETTINGS)
        self.state = ""
        self._ends: dict[str, tuple[float, float]] = {}
        self._hits: list[str] = []

    def refresh(self) -> str:
        """Read anew what has changed since. Returns a word for what the run holds by now."""
        state = state_of(self.run)
        if state != self.state:
            rounds = self.run.rounds()
            for name, kind in KINDS.items():
                found = {each.number: _files(each, name) for each in rounds}
                self._view(name, found, tables.schema(kind).empty_table())
            self._view("reference", {each.number: _references(each) for each in rounds}, _no_reference(), "TABLE")
            self.db.execute(INDEX)
            self._mark(self.flagged, "yes")
            self._ends, self._hits = self._measure(), []
            self.state = state
        return state

    def flag(self, row_id: str, flagged: bool) -> None:
        """Mark a row, or take its mark away, for the facet."""
        (self.flagged.add if flagged else self.flagged.discard)(row_id)
        self._mark([row_id], "yes" if flagged else "no")

    def _mark(self, ids: Iterable[str], flagged: str) -> None:
        self._ask("UPDATE rows SET flagged = ? WHERE id IN (SELECT unnest(?::VARCHAR[]))", [flagged, list(ids)])

    def _view(self, name: str, found: Mapping[int, Sequence[Path]], empty: Any, kind: str = "VIEW") -> None:
        """One view over all files of a kind, with the round of each row; a TABLE of what is small and asked often."""
        self.db.register(f"no_{name}", empty)
        parts = [f"SELECT *, 0 AS round FROM no_{name}"]
        for number, paths in found.items():
            listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
            parts += [f"SELECT *, {number} AS round FROM read_parquet([{listed}])"] if paths else []
        self.db.execute(f"CREATE OR REPLACE {kind} {name} AS {' UNION ALL BY NAME '.join(parts)}")

    def _measure(self) -> dict[str, tuple[float, float]]:
        """The smallest and largest of each number."""
        ends = ", ".join(f'min("{name}"), max("{name}")' for name in NUMBERS)
        found = self._ask(f"SELECT {ends} FROM rows")[0]
        both = zip(NUMBERS, found[::2], found[1::2], strict=True)
        return {name: (low, high) for name, low, high in both if low is not None}

    def find(self, query: Query) -> Answer:
        """Raises SenaError for a facet, a number or an order that there is not."""
        self._search(query.words)
        condition, values = _condition(query)
        [(total, everything)] = self._ask(f"SELECT count(*) FILTER ({condition}), count(*) FROM rows", values)
        rows = self._ask(
            f"SELECT id, kept FROM rows WHERE {condition} ORDER BY {_order(query.sort)} LIMIT ? OFFSET ?",
            [*values, query.size, max(0, query.start)],
        )
        facets = [(name, self._values(query, name)) for name in FACETS]
        histograms = [(name, *self._ends[name], self._bins(query, name)) for name in NUMBERS if name in self._ends]
        return Answer(total, everything, rows, [each for each in facets if each[1]], histograms)

    def _ask(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of an answer; one that is not fetched to its end would bar the next question."""
        return self.db.execute(sql, list(values)).fetchall()

    def _search(self, words: str) -> None:
        """Leave in `hits` the ids of the rows whose texts hold all words, in capitals or not."""
        parts = printable(words).lower().split()
        if len(parts) > MOST_WORDS:
            raise SenaError(f"A search has at most {MOST_WORDS} words, this one has {len(parts)}")
        if parts and parts != self._hits:
            self.db.execute(_hits(parts), [f"(?i){re.escape(word)}" for word in parts])
            self._hits = parts

    def _values(self, query: Query, name: str) -> list[tuple[str, int]]:
        condition, values = _condition(query, name)
        asked = f'SELECT "{name}", count(*) FILTER ({condition}) AS number FROM rows WHERE "{name}" IS NOT NULL'
        return self._ask(f"{asked} GROUP BY 1 ORDER BY number DESC, 1", values)

    def _bins(self, query: Query, name: str) -> list[int]:
        condition, values = _condition(query, name)
        low, high = self._ends[name]
        place = f'least({BINS - 1}, floor({BINS} * ("{name}" - ?) / ?))::INTEGER'
        asked = f'SELECT {place}, count(*) FROM rows WHERE "{name}" IS NOT NULL AND {condition} GROUP BY 1'
        counts = dict(self._ask(asked, [low, high - low or 1.0, *values]))
        return [counts.get(number, 0) for number in range(BINS)]

    def records(self, kind: type[Record], view: str, column: str, values: Iterable[str]) -> list[tuple[int, Record]]:
        """(round, record) of those whose `column` is one of `values`."""
        names = [each.name for each in fields(kind)]  # type: ignore[arg-type]
        listed = ", ".join(f'"{name}"' for name in names)
        asked = f'SELECT round, {listed} FROM {view} WHERE "{column}" IN (SELECT unnest(?::VARCHAR[]))'
        found = self._ask(asked, [list(values)])
        return [(row[0], kind(*(tuple(v) if isinstance(v, list) else v for v in row[1:]))) for row in found]

    def images_of(self, number: int) -> list[str]:
        """The ids of the pictures that a round drew, sorted."""
        return [row[0] for row in self._ask("SELECT id FROM images WHERE round = ? ORDER BY id", [number])]

    def scores(self, ids: Iterable[str]) -> dict[str, tuple[float, float]]:
        """Summed log-probabilities of chosen and rejected, of the pairs that have them."""
        asked = "SELECT id, chosen, rejected FROM reference WHERE id IN (SELECT unnest(?::VARCHAR[]))"
        return {row[0]: (row[1], row[2]) for row in self._ask(asked, [list(ids)])}


def _hits(words: Sequence[str]) -> str:
    """The SQL of a search; word k is the pattern that is bound as $(k+1)."""

    def holds(columns: Sequence[str], ids: Sequence[str], place: int) -> str:
        known = (*columns, *ids) if ID.fullmatch(words[place]) else columns
        return " OR ".join(f"regexp_matches({column}, ${place + 1})" for column in known)

    places = range(len(words))
    plain = [f"(p.plain <> p.chosen AND regexp_matches(p.plain, ${place + 1}))" for place in places]
    return HITS.format(
        seen=", ".join(f"({holds(OF_ROWS, (), place)}) AS has_{place}" for place in places),
        any=" OR ".join(f"has_{place}" for place in places),
        pairs=" AND ".join(
            f"(coalesce(has_{place}, false) OR {holds(OF_PAIRS, ('p.id', 'p.row_id', 'p.image_id'), place)} "
            f"OR {plain[place]})"
            for place in places
        ),
        drops=" AND ".join(f"({holds(OF_DROPS, ('id', 'image_id'), place)})" for place in places),
    )


def _condition(query: Query, but: str = "") -> tuple[str, list[Any]]:
    """SQL that a row must meet, the facet or number called `but` left aside, and its values."""
    if query.id:
        return "id = ?", [query.id]
    parts, values = [], []
    if query.words.strip():
        parts.append("id IN (SELECT id FROM hits)")
    for name, value in query.facets.items():
        if _known(name, FACETS) != but:
            parts.append(f'"{name}" = ?')
            values.append(str(value))
    for name, (low, high, has_high) in query.ranges.items():
        if _known(name, NUMBERS) != but:
            parts.append(f'"{name}" >= ? AND "{name}" {"<=" if has_high else "<"} ?')
            values += [float(low), float(high)]
    return " AND ".join(parts) or "true", values


def _order(sort: str) -> str:
    if not sort:
        return ORDER
    name = _known(sort.removeprefix("-"), NUMBERS)
    return f'"{name}" {"DESC" if sort.startswith("-") else "ASC"} NULLS LAST, {ORDER}'


def _known(name: str, names: Sequence[str]) -> str:
    """The name, which goes into SQL, if it is one of ours."""
    if name not in names:
        raise SenaError(f"Rows have no {name!r}: known are {', '.join(names)}")
    return name


def state_of(run: RunFolder) -> str:
    """A word that changes when a table or a round's evidence does."""
    paths = [
        path
        for each in run.rounds()
        for path in (*(p for name in KINDS for p in _files(each, name)), *_references(each), each.evidence)
        if path.is_file()
    ]
    stopped = [run.stopped] if run.stopped.is_file() else []
    seen = [f"{path} {path.stat().st_mtime_ns} {path.stat().st_size}" for path in [*paths, run.manifest, *stopped]]
    return hashlib.sha256("\n".join(seen).encode()).hexdigest()[:16]


def _files(folder: RoundFolder, name: str) -> list[Path]:
    if name == "images":
        return [folder.images] if folder.images.is_file() else []
    return table_files(folder, name)


def _references(folder: RoundFolder) -> list[Path]:
    whole = (folder.reference / "manifest.json").is_file()
    return sorted(folder.reference.glob("part-*.parquet")) if whole else []


def _no_reference() -> Any:
    import pyarrow as pa

    return pa.schema([("id", pa.string()), ("chosen", pa.float64()), ("rejected", pa.float64())]).empty_table()


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise SenaError('The viewer needs duckdb, which is not installed: pip install "sena[server]"') from error
    return duckdb
