"""Records survive the disk unchanged, and equal records are equal bytes."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sena.data.run_stage import Dropped, Said
from sena.errors import RunFolderError
from sena.records import Image, Pair, Row
from sena.runs import tables

ROW = Row("r", "i", 1, "Was ist das?", ("Wo?", "Was ist das?"), cut=("description",), answer="一只猫\n\x1b[31m</s>")
PAIR = Pair("p", "r", "i", "answer", "Q", "yes", "no", strength=600.0, corruption_seed=2**62)


@pytest.mark.parametrize(
    ("kind", "records"),
    [
        (Row, [ROW, Row("s", "i")]),
        (Pair, [PAIR]),
        (Image, [Image("i", "folder", "a/b.png", "00", 3, 4)]),
        (
            Said,
            [
                Said("a", "i", "check", "p", "t", True, 3, stable=None),
                Said("b", "", "c", "", "", False, 0, stable=False),
            ],
        ),
        (Dropped, []),
    ],
)
def test_records_survive(kind: type, records: list[object], tmp_path: Path) -> None:
    tables.write(tmp_path / "a.parquet", kind, records)
    tables.write(tmp_path / "b.parquet", kind, records)
    assert tables.read(tmp_path / "a.parquet", kind) == records
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert pq.read_schema(tmp_path / "a.parquet").names == [field.name for field in fields(kind)]  # type: ignore[arg-type]


def test_another_table_is_refused_by_name(tmp_path: Path) -> None:
    tables.write(tmp_path / "pairs.parquet", Pair, [PAIR])
    with pytest.raises(RunFolderError, match=r"pairs\.parquet is not a table of this version"):
        tables.read(tmp_path / "pairs.parquet", Row)
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    with pytest.raises(RunFolderError, match=r"torn\.parquet"):
        tables.read(tmp_path / "torn.parquet", Pair)
