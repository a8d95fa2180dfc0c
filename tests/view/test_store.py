"""What the viewer answers, held to what the page's own rows say.

Of two rounds as in tests/report/make.py: 12 pairs (8 of descriptions) and 8 drops; four pairs have a reference.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from sena.errors import SenaError
from sena.records import Pair
from sena.report.explorer import entries
from sena.report.gallery import Pictures
from sena.report.read import read_rounds
from sena.view.store import Query, Store
from tests.report.make import make_round
from tests.view.make import SCORES, WANTED, referenced_run


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(referenced_run(tmp_path_factory.mktemp("view") / "it's a run"))
    made.refresh()
    return made


def test_the_index_says_of_each_row_what_the_page_says(store: Store) -> None:
    """Facets and numbers are made twice, in SQL and in Python."""
    pictures = Pictures(None, None, 0)
    made = [each for data in read_rounds(store.run) if data.number for each in entries(data, 99, pictures, SCORES)]
    found = store.find(Query(count=99))
    assert {row_id for row_id, _ in found.ids} == {each.id for each in made}
    for name, values in found.facets:
        if name == "flagged":  # known to the viewer alone
            continue
        assert dict(values) == Counter(each.facets[name] for each in made if name in each.facets), name
    assert {name for name, _ in found.facets} == {name for each in made for name in each.facets} | {"flagged"}
    for name, low, high, counts in found.histograms:
        numbers = [each.numbers[name] for each in made if name in each.numbers]
        assert (low, high, sum(counts)) == (min(numbers), max(numbers), len(numbers)), name


def test_filters_meet_and_each_facet_counts_what_it_offers(store: Store) -> None:
    found = store.find(Query(facets={"kept": "dropped", "reason": "contained"}))
    assert (found.total, found.all) == (4, 20)
    facets = dict(found.facets)
    assert facets["reason"] == [("contained", 4), ("not settled", 4)]
    assert facets["kept"] == [("dropped", 4), ("pair", 0)]
    assert facets["round"] == [("1", 2), ("2", 2)]


def test_words_are_sought_in_texts_questions_and_ids_whatever_their_case(store: Store) -> None:
    assert store.find(Query(words="KNIFE. what")).total == 8
    assert store.find(Query(words=WANTED.id)).ids == [(WANTED.id, "pair")]
    assert store.find(Query(words="nosuchword")).total == 0
    assert store.find(Query(words="knife nosuchword")).total == 0
    assert store.find(Query(words="' OR 1=1 --")).total == 0
    assert store.find(Query(words=".*")).total == 0  # read as it is written, never as a pattern
    assert store.find(Query(words="(")).total == 0
    with pytest.raises(SenaError, match="at most 12 words"):
        store.find(Query(words="a " * 13))


def test_a_search_finds_what_the_pages_own_search_finds(store: Store) -> None:
    """The page looks for each word in all texts of a row, joined; here each text is asked by itself."""
    pictures = Pictures(None, None, 0)
    made = [each for data in read_rounds(store.run) if data.number for each in entries(data, 99, pictures, SCORES)]
    said = {
        each.id: " ".join([each.id, each.row, each.image, *("".join(t for _, t in text.pieces) for text in each.texts)])
        for each in made
        if each.what == "pair"
    }
    for words in ("apple", "APPLE knife", "red on", "what. table", WANTED.image_id[:6], "describe an"):
        wanted = {one for one, text in said.items() if all(word in text.lower() for word in words.lower().split())}
        found = {one for one, kept in store.find(Query(words=words, count=99)).ids if kept == "pair"}
        assert found == wanted, words


def test_flagged_rows_can_be_chosen_also_after_the_run_went_on(tmp_path: Path) -> None:
    run = referenced_run(tmp_path / "run")
    made = Store(run, [WANTED.id])
    made.refresh()
    other = next(row_id for row_id, _ in made.find(Query()).ids if row_id != WANTED.id)
    made.flag(other, True)
    wanted = Query(facets={"flagged": "yes"})
    assert {row_id for row_id, _ in made.find(wanted).ids} == {WANTED.id, other}
    make_round(run, 3, shards_done=1)
    made.refresh()
    assert made.find(wanted).total == 2
    made.flag(WANTED.id, False)
    assert dict(made.find(Query()).facets)["flagged"] == [("no", 24), ("yes", 1)]


def test_a_range_takes_its_low_end_and_the_last_one_both(store: Store) -> None:
    """Margins are 7, 8, 9 and 10."""
    for bounds, wanted in (((7, 8, False), 1), ((7, 8, True), 2), ((9.75, 10, True), 1), ((0, 7, False), 0)):
        assert store.find(Query(ranges={"margin": bounds})).total == wanted, bounds
    [counts] = [counts for name, _, _, counts in store.find(Query()).histograms if name == "margin"]
    assert counts == [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1]  # bins of a quarter


def test_rows_are_sorted_and_paged(store: Store) -> None:
    ids = [row_id for row_id, _ in store.find(Query(sort="-margin", count=4)).ids]
    assert ids == sorted(SCORES, key=lambda each: SCORES[each][0] - SCORES[each][1], reverse=True)
    whole = [row_id for row_id, _ in store.find(Query(count=20)).ids]
    parts = [row_id for start in (0, 7, 14) for row_id, _ in store.find(Query(start=start, count=7)).ids]
    assert parts == whole
    assert len(store.find(Query(count=10**9)).ids) == 20
    assert store.find(Query(id=WANTED.id)).ids == [(WANTED.id, "pair")]


@pytest.mark.parametrize(
    "query",
    [Query(facets={'kind" = 1 --': "x"}), Query(ranges={"id": (0, 1, True)}), Query(sort="id; DROP TABLE rows")],
)
def test_no_name_but_ours_reaches_the_database(store: Store, query: Query) -> None:
    with pytest.raises(SenaError, match="known are"):
        store.find(query)


def test_records_come_back_as_they_were_written(store: Store) -> None:
    assert store.records(Pair, "pairs", "id", [WANTED.id]) == [(1, WANTED)]
    assert store.scores([WANTED.id]) == {WANTED.id: (-11.0, -20.0)}


def test_a_run_at_work_shows_the_shards_that_are_whole_and_then_the_rest(tmp_path: Path) -> None:
    run = referenced_run(tmp_path / "run")
    made = Store(run)
    before = made.refresh()
    make_round(run, 3, shards_done=1)
    assert made.refresh() != before
    assert made.find(Query(facets={"round": "3"})).total == 5
    make_round(run, 3)
    made.refresh()
    assert made.find(Query(facets={"round": "3"})).total == 10


def test_a_run_that_has_only_begun_has_no_rows(tmp_path: Path) -> None:
    from sena.runs.folder import create_run

    made = Store(create_run(tmp_path / "run", "model: {name: mini}\n", {}))
    made.refresh()
    assert made.find(Query(words="x", sort="margin")).total == 0
