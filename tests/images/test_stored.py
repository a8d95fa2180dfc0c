"""Pictures in an object store: the same as in a folder, read page by page and piece by piece."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sena import stores
from sena.errors import ImageError, SenaError
from sena.images.config import ImagesConfig, LimitsConfig, SourceConfig
from sena.images.guess import source_of
from sena.images.sample import draw
from sena.images.sources import FolderSource, Source
from sena.images.stored import StoredSource
from sena.recipes import names
from tests.bucket import Bucket
from tests.images.make import encoded, photo, plain, write

GOOD = {f"{number % 3}/picture {number}.png": plain(number) for number in range(20)}
BAD = {
    "cut.jpg": encoded(photo(), "JPEG")[:300],
    "empty.png": b"",
    "text.jpg": b"no picture at all",
    "large.png": encoded(photo(400, 300)),
    "twin.png": plain(3),
    "Ünïcode %41+&?.PNG": plain(99),
}
LEFT_OUT = {"notes.txt": b"x", ".hidden.png": plain(50), ".folder/inside.png": plain(51), "0/.also.png": plain(52)}
LIMITS = LimitsConfig(max_bytes=100_000)


@pytest.fixture
def folder(tmp_path: Path, bucket: Bucket) -> Path:
    made = write(tmp_path / "photos", {**GOOD, **BAD, **LEFT_OUT})
    bucket.put_folder(made, "photos")
    bucket.put("photos/", b"")  # the mark of a folder that consoles leave
    bucket.put("photos2/other.png", plain(1000))
    return made


def opened(path: str) -> Source:
    config = SourceConfig.model_validate(source_of(path))
    [source] = names.sources(ImagesConfig(sources=(config,), limits=LIMITS))
    return source


def test_pictures_are_those_of_the_same_folder_on_the_disk(folder: Path, bucket: Bucket) -> None:
    """Paths, ids, hashes, sizes, and what is skipped and why."""
    bucket.page = 7
    there, here = opened(f"{bucket.address}/photos/"), opened(str(folder))
    assert isinstance(there, StoredSource)
    assert isinstance(here, FolderSource)
    assert there.list() == here.list()
    found, wanted = (draw([source], 22, 5, 1, limits=LIMITS, at_least=1) for source in (there, here))
    assert found == wanted
    assert len(found.images) == 21
    assert {each.reason for each in found.skipped} == {
        "truncated", "empty", "unknown format", "too many bytes", "already used"
    }  # fmt: skip


def test_nothing_is_asked_of_single_objects_but_their_bytes(folder: Path, bucket: Bucket) -> None:
    bucket.page = 7
    source = StoredSource("photos", f"{bucket.address}/photos")
    paths = source.list()
    assert bucket.asked == [("GET", "?photos/")] * 5  # 31 objects
    del bucket.asked[:]
    assert source.read(paths[0]) == GOOD[paths[0]]
    assert bucket.asked == [("GET", f"photos/{paths[0]}")]


def test_a_picture_beyond_the_limit_is_not_read_whole(bucket: Bucket) -> None:
    bucket.put("photos/large.png", b"x" * 5_000_000)
    source = StoredSource("photos", f"{bucket.address}/photos", max_bytes=1000)
    with pytest.raises(ImageError, match=r"too many bytes: large\.png has 5000000, the limit is 1000"):
        source.read("large.png")
    assert bucket.sent == 1001


def test_names_that_lead_elsewhere_are_refused(bucket: Bucket) -> None:
    for key in ("photos/../secret.png", "photos//etc/a.png", "photos/./b.png", "photos/good.png", "secret.png"):
        bucket.put(key, plain(1))
    source = StoredSource("photos", f"{bucket.address}/photos")
    assert list(source.list()) == ["good.png"]
    assert {each.reason for each in source.unlisted()} == {"outside its root"}
    assert len(source.unlisted()) == 3
    for path in ("../secret.png", "/etc/a.png", "a/../../secret.png", ""):
        with pytest.raises(ImageError, match="outside its root"):
            source.read(path)


def test_a_picture_that_is_gone_or_closed_is_skipped_a_closed_store_is_told(bucket: Bucket) -> None:
    for number in range(3):
        bucket.put(f"photos/{number}.png", plain(number))
    source = StoredSource("photos", f"{bucket.address}/photos")
    source.list()
    bucket.delete("photos/0.png")
    bucket.refuse = lambda method, key: (403, "InvalidObjectState") if key == "photos/1.png" else None
    with pytest.raises(ImageError, match=r"missing: 0\.png"):
        source.read("0.png")
    with pytest.raises(ImageError, match=r"unreadable: 1\.png"):
        source.read("1.png")
    bucket.refuse = lambda method, key: (403, "AccessDenied")
    with pytest.raises(SenaError, match=r"s3://.*/photos may not be used .*check the credentials") as told:
        source.read("2.png")
    assert not isinstance(told.value, ImageError)


def test_a_store_that_fails_for_a_while_is_asked_again_and_one_that_fails_for_good_is_told(bucket: Bucket) -> None:
    bucket.put("photos/1.png", plain(1))
    source = StoredSource("photos", f"{bucket.address}/photos")
    left = [2]

    def twice(method: str, key: str) -> tuple[int, str] | None:
        left[0] -= 1
        return (503, "SlowDown") if left[0] >= 0 else None

    bucket.refuse = twice
    assert source.read("1.png") == plain(1)
    bucket.refuse = lambda method, key: (500, "InternalError")
    with pytest.raises(SenaError, match=r"s3://.*/photos/1\.png cannot be reached") as told:
        source.read("1.png")
    assert not isinstance(told.value, ImageError)


def test_an_empty_object_has_no_bytes_and_a_fault_is_no_empty_object(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an empty one the store says that no range lies in it; what it says of others may name a bucket `orange`."""
    bucket.put("photos/empty.png", b"")
    assert StoredSource("photos", f"{bucket.address}/photos").read("empty.png") == b""

    def refuse(*given: Any, **also: Any) -> bytes:
        raise OSError(errno.EIO, "Cannot connect to host orange.s3.amazonaws.com:443")

    monkeypatch.setattr(stores, "driver", lambda where: SimpleNamespace(cat_file=refuse))
    with pytest.raises(SenaError, match="cannot be reached") as told:
        StoredSource("photos", "s3://orange/photos").read("1.png")
    assert not isinstance(told.value, ImageError)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("s3://no-such-bucket/photos", "There is no s3://no-such-bucket/photos: check the bucket"),
        ("{bucket}/nothing", "No picture .* below s3://.*/nothing: put some there"),
        ("gs://bucket/photos", "gs://bucket/photos needs the package gcsfs: pip install gcsfs"),
        ("s3://", "s3:// is no address of a store"),
        ("s3://bucket/../photos", "is no address of a store"),
    ],
)
def test_mistakes_are_told_in_one_sentence(path: str, sentence: str, bucket: Bucket) -> None:
    with pytest.raises(SenaError, match=sentence):
        opened(path.format(bucket=bucket.address)).list()
