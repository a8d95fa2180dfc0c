"""Tars, Parquet files and lists in an object store: the same pictures as from the disk."""

from __future__ import annotations

import json
import tarfile
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sena.errors import ImageError, SenaError
from sena.images import tars
from sena.images.config import ImagesConfig, SourceConfig
from sena.images.guess import source_of
from sena.images.listed import ListedSource
from sena.images.sample import draw
from sena.recipes import names
from tests.bucket import Bucket
from tests.images.make import encoded, photo, plain, write

PICTURES = {f"{number % 2}/{number}.png": plain(number) for number in range(8)}
TEXTS = {"0/0.png": "What is there?"}


def tar(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as handle:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            handle.addfile(member, BytesIO(data))


def parquet(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    column = pa.array([{"bytes": data, "path": name} for name, data in files.items()])
    pq.write_table(pa.table({"image": column}), path, row_group_size=3)


@pytest.fixture
def folder(tmp_path: Path, bucket: Bucket) -> Path:
    root = tmp_path / "data"
    rows = [{"image": name, "question": TEXTS.get(name, "What?")} for name in PICTURES]
    refused = [{"image": "../outside.png"}, {"image": "/etc/a.png"}]
    write(root, {**PICTURES, "list.jsonl": "".join(json.dumps(row) + "\n" for row in [*rows, *refused]).encode()})
    (root / "list.csv").write_text("image\n" + "\n".join(PICTURES) + "\n")
    for number in (1, 2):
        tar(root / f"tars/{number}.tar", {f"{number}{name}": data for name, data in PICTURES.items()})
        parquet(root / f"tables/{number}.parquet", PICTURES)
    bucket.put_folder(root, "data")
    bucket.put("outside.png", plain(77))
    return root


@pytest.mark.parametrize("what", ["tars/1.tar", "tars", "tables/2.parquet", "tables", "list.jsonl", "list.csv"])
def test_a_source_in_the_store_is_the_one_on_the_disk(what: str, folder: Path, bucket: Bucket) -> None:
    here = SourceConfig.model_validate(source_of(str(folder / what)))
    there = SourceConfig.model_validate(source_of(f"{bucket.address}/data/{what}"))
    assert (there.name, there.kind) == (here.name, here.kind)
    drawn = [draw(names.sources(ImagesConfig(sources=(each,))), 8, 5, 1, at_least=1) for each in (here, there)]
    assert drawn[0] == drawn[1]
    assert len(drawn[0].images) == 8
    if what == "list.jsonl":
        assert [each.reason for each in drawn[0].skipped] == ["outside its root"] * 2


@pytest.mark.parametrize("what", ["tables", "tars"])
def test_a_place_may_be_called_like_a_file(what: str, folder: Path, bucket: Bucket) -> None:
    """As those that Spark writes: `all.parquet/part-0.parquet`."""
    ending = {"tables": ".parquet", "tars": ".tar"}[what]
    bucket.put_folder(folder / what, f"all{ending}")
    there = SourceConfig.model_validate(source_of(f"{bucket.address}/all{ending}"))
    assert sum(len(each.list()) for each in names.sources(ImagesConfig(sources=(there,)))) == 16


def test_a_picture_in_a_tar_is_one_request_for_its_bytes(folder: Path, bucket: Bucket) -> None:
    source = tars.TarSource("tars", f"{bucket.address}/data/tars")
    paths = source.list()
    del bucket.asked[:]
    before = bucket.sent
    assert source.read(paths[0]) == PICTURES[paths[0].removeprefix("1.tar/1")]
    assert bucket.asked == [("GET", "data/tars/1.tar")]
    assert bucket.sent - before == len(PICTURES["0/0.png"])


def test_a_list_brings_its_questions_and_keeps_to_its_root(folder: Path, bucket: Bucket) -> None:
    source = ListedSource("list", f"{bucket.address}/data/list.jsonl")
    assert list(source.questions({"0/0.png"})) == [("0/0.png", "What is there?")]
    with pytest.raises(ImageError, match="outside its root"):
        source.read("../outside.png")
    elsewhere = ListedSource("list", folder / "list.jsonl", root=f"{bucket.address}/data")
    assert elsewhere.read("0/0.png") == PICTURES["0/0.png"]


@pytest.mark.parametrize("piece", [512, 1000, 100_000])
def test_a_large_tar_is_read_piece_by_piece(
    piece: int, tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sena.stores.PIECE", piece)
    files = {f"{'long/' * 30}{number}.png": encoded(photo(30, 20 + number)) for number in range(6)}
    tar(tmp_path / "a.tar", files)
    bucket.put("a.tar", (tmp_path / "a.tar").read_bytes())
    source = tars.TarSource("a", f"{bucket.address}/a.tar")
    assert {path: source.read(path) for path in source.list()} == {f"a.tar/{name}": files[name] for name in files}


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.tar", b"no tar" * 500, r"s3://.*/a\.tar is no whole tar file"),
        ("a.parquet", b"no parquet" * 500, r"s3://.*/a\.parquet cannot be read as Parquet"),
        ("a.jsonl", b"{", r"s3://.*/a\.jsonl, row 1: it is no JSON"),
        ("a.tar.gz", b"", r"s3://.*/a\.tar\.gz is compressed"),
        ("a.json", b"[]", r"sources of kind llava665k are read from a disk, not from s3://"),
        ("gone.tar", None, r"There is no s3://.*/gone\.tar"),
        ("gone.parquet", None, r"There is no s3://.*/gone\.parquet"),
        ("gone.jsonl", None, r"There is no s3://.*/gone\.jsonl"),
    ],
)
def test_files_that_are_none_are_told(name: str, data: bytes | None, sentence: str, bucket: Bucket) -> None:
    if data is not None:
        bucket.put(name, data)
    config = SourceConfig.model_validate(source_of(f"{bucket.address}/{name}"))
    with pytest.raises(SenaError, match=sentence):
        names.sources(ImagesConfig(sources=(config,)))[0].list()


@pytest.mark.parametrize("name", ["a.tar", "a.parquet", "a.jsonl"])
def test_a_store_that_says_no_is_told(name: str, folder: Path, bucket: Bucket) -> None:
    where = {"a.tar": "tars/1.tar", "a.parquet": "tables/1.parquet", "a.jsonl": "list.jsonl"}[name]
    bucket.refuse = lambda method, key: (403, "AccessDenied") if method == "GET" and "?" not in key else None
    config = SourceConfig.model_validate(source_of(f"{bucket.address}/data/{where}"))
    with pytest.raises(SenaError, match=f"s3://.*/{where} may not be used .*check the credentials"):
        names.sources(ImagesConfig(sources=(config,)))[0].list()
