"""Things named in texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from sena.errors import SenaError
from sena.evals import chair, words

TABLE = {"bus": "bus", "knife": "knife", "person": "person", "man": "person", "dog": "dog", "hot dog": "hot dog",
         "wine glass": "wine glass", "sheep": "sheep", "berry": "berry"}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Two buses and knives.", ["bus", "knife"]),
        ("People, men; a man's dog", ["person", "person", "person", "dog"]),
        ("Hot dogs and a dog", ["hot dog", "dog"]),
        ("wine glasses, sheep, berries", ["wine glass", "sheep", "berry"]),
        ("a doghouse", []),
        ("", []),
    ],
)
def test_mentions_are_counted_each_time(text: str, found: list[str]) -> None:
    assert words.mentions(text, TABLE) == found


def test_a_hidden_phrase_keeps_its_words_from_being_read() -> None:
    assert words.mentions("the home plate and a plate", {"plate": "plate", "home plate": None}) == ["plate"]


def test_a_synonyms_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "synonyms.txt"
    path.write_text("# ours\nperson, Man , woman\n\ndining table,  dining  desk # of wood\n")
    table = {"person": "person", "man": "person", "woman": "person"}
    assert words.read_synonyms(path) == {**table, "dining table": "dining table", "dining desk": "dining table"}


def test_an_empty_synonyms_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "synonyms.txt").write_text("# nothing\n")
    with pytest.raises(SenaError, match="names no object"):
        words.read_synonyms(tmp_path / "synonyms.txt")


def test_the_shipped_list_knows_every_object_of_coco_once() -> None:
    table = words.read_synonyms(chair.OWN_LIST)
    rows = [line for line in chair.OWN_LIST.read_text().splitlines() if line and not line.startswith("#")]
    names = [name.strip() for line in rows for name in line.split(",")]
    assert len(rows) == len(set(table.values())) == 80
    assert sorted({name for name in names if names.count(name) > 1}) == []
