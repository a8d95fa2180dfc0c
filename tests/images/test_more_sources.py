"""Lists, tars, data sets of Hugging Face, and what `--images` takes each of them for."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from sena.errors import ImageError, SenaError
from sena.images.guess import source_of
from sena.images.hub import HubSource
from sena.images.listed import ListedSource
from sena.images.parquet import parquet_sources
from sena.images.sample import Used, draw
from sena.images.sources import FolderSource, Source
from sena.images.tars import TarSource
from tests.images.make import plain, write


def rows(file: Path, *each: object) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in each))
    return file


def tar(file: Path, members: dict[str, bytes]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as handle:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            handle.addfile(member, io.BytesIO(data))
    return file


def saved(folder: Path, count: int, column: str = "image") -> Path:
    from datasets import Dataset, Features, Image, Value

    features = Features({column: Image(), "text": Value("string")})
    pictures = [{"bytes": plain(number), "path": None} for number in range(count)]
    Dataset.from_dict({column: pictures, "text": ["x"] * count}, features=features).save_to_disk(str(folder))
    return folder


def test_a_list_of_any_column_and_of_csv(tmp_path: Path) -> None:
    write(tmp_path, {"a/1.png": plain(1), "2.png": plain(2)})
    inside = str(tmp_path / "a" / "1.png")
    source: Source = ListedSource("l", rows(tmp_path / "l.jsonl", {"image": "./2.png"}, {"image": inside}))
    assert list(source.list()) == ["2.png", "a/1.png"]
    assert source.read("a/1.png") == plain(1)
    (tmp_path / "metadata.csv").write_text("file_name,text\n2.png,x\n")
    folder = ListedSource("f", tmp_path)
    assert list(folder.list()) == ["2.png"]
    own = ListedSource("o", rows(tmp_path / "o.jsonl", {"image": 3, "photo": "1.png"}), tmp_path / "a", "photo")
    assert own.read(own.list()[0]) == plain(1)


def test_a_list_stays_below_its_root(tmp_path: Path) -> None:
    write(tmp_path, {"x.png": plain(1), "root/1.png": plain(2)})
    file = rows(tmp_path / "root/l.jsonl", {"image": "../x.png"}, {"image": "/etc/passwd"}, {"image": "1.png"})
    source = ListedSource("l", file)
    assert list(source.list()) == ["1.png"]
    assert [(each.reason, each.detail) for each in source.unlisted()] == [
        ("outside its root", "l.jsonl, row 1"),
        ("outside its root", "l.jsonl, row 2"),
    ]
    with pytest.raises(ImageError, match="outside its root"):
        source.read("../x.png")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"image": "1.png"}\n\n{"image": 3}\n', "row 3: it needs `image` .*, the path of one picture"),
        ('{"picture": "1.png"}\n', "row 1: it needs `image`"),
        ('{"image": "1.png"\n', "row 1: it is no JSON"),
        ('["1.png"]\n', "row 1: it is no object"),
        ("", "names no picture: a row looks like"),
    ],
)
def test_a_wrong_list_is_told_with_its_row(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "l.jsonl").write_text(text)
    with pytest.raises(SenaError, match=message):
        ListedSource("l", tmp_path / "l.jsonl").list()


def test_tars_are_read_where_they_lie(tmp_path: Path) -> None:
    tar(tmp_path / "1.tar", {"b.png": plain(1), "b.json": b"{}", "a/c.jpg": plain(2), "../evil.png": plain(3)})
    tar(tmp_path / "0.tar", {"b.png": plain(4), ".hidden.png": plain(5)})
    source: Source = TarSource("t", tmp_path)
    assert list(source.list()) == ["0.tar/b.png", "1.tar/a/c.jpg", "1.tar/b.png"]
    assert [source.read(path) for path in source.list()] == [plain(4), plain(2), plain(1)]
    (left_out,) = TarSource("t", tmp_path).unlisted()
    assert (left_out.path, left_out.reason) == ("1.tar/../evil.png", "outside its root")
    with pytest.raises(ImageError, match="missing"):
        source.read("1.tar/gone.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.tar", "1.tar"]


def test_refused_names_beyond_twenty_are_counted(tmp_path: Path) -> None:
    names = [f"../{number:02d}.png" for number in range(25)]
    tar(tmp_path / "t.tar", {"a.png": plain(1), **{name: plain(2) for name in names}})
    (tmp_path / "l.jsonl").write_text("\n".join(json.dumps({"image": name}) for name in ["a.png", *names]))
    for source in (TarSource("t", tmp_path / "t.tar"), ListedSource("l", tmp_path / "l.jsonl")):
        told = list(source.unlisted())
        assert len(told) == 21
        assert (told[-1].path, told[-1].reason, told[-1].detail) == ("5 more", "refused", "as those before")


def test_of_members_with_one_name_the_last_counts(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "t.tar", "w") as handle:
        for number in (1, 2):
            member = tarfile.TarInfo("a.png")
            member.size = len(plain(number))
            handle.addfile(member, io.BytesIO(plain(number)))
    source = TarSource("t", tmp_path / "t.tar")
    assert list(source.list()) == ["t.tar/a.png"]
    assert source.read("t.tar/a.png") == plain(2)
    assert [each.reason for each in source.unlisted()] == ["already used"]


@pytest.mark.parametrize("fault", ["cut", "header", "nothing", "text"])
def test_a_damaged_tar_is_one_sentence(tmp_path: Path, fault: str) -> None:
    data = bytearray(tar(tmp_path / "t.tar", {f"{n}.png": plain(n, (64, 64)) for n in range(4)}).read_bytes())
    if fault == "cut":
        data = data[:1200]
    elif fault == "header":
        data[1024:1536] = b"x" * 512  # the second member's
    else:
        data = bytearray(b"" if fault == "nothing" else b"no tar at all" * 100)
    (tmp_path / "t.tar").write_bytes(data)
    with pytest.raises(SenaError, match=r"t\.tar is no whole tar file \(.*\): make or download it again"):
        TarSource("t", tmp_path / "t.tar").list()


def test_a_tar_without_pictures_and_a_compressed_one(tmp_path: Path) -> None:
    with pytest.raises(SenaError, match="No picture"):
        TarSource("t", tar(tmp_path / "t.tar", {"a.txt": b"x"})).list()
    with pytest.raises(SenaError, match="is compressed"):
        TarSource("t", tmp_path / "t.tar.gz")


def test_a_saved_data_set(tmp_path: Path) -> None:
    source: Source = HubSource("d", str(saved(tmp_path / "d", 3, "photo")))
    assert list(source.list()) == ["0/0", "1/0", "2/0"]
    assert source.read("2/0") == plain(2)
    with pytest.raises(SenaError, match="has no column jpeg, only photo, text"):
        HubSource("d", str(tmp_path / "d"), column="jpeg")
    with pytest.raises(SenaError, match="`text` is no column of pictures"):
        HubSource("d", str(tmp_path / "d"), column="text")
    with pytest.raises(SenaError, match="There is no folder"):
        HubSource("d", str(tmp_path / "gone"))


def test_a_hub_name_offline_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets import config

    monkeypatch.setattr(config, "HF_HUB_OFFLINE", True)
    with pytest.raises(SenaError, match=r"The data set nobody/nothing cannot be opened \(.*and the network"):
        HubSource("d", "nobody/nothing")


def test_a_data_sets_own_paths_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets import Dataset, Features, Image

    from sena.images import hub

    write(tmp_path, {"secret.png": plain(1)})
    pictures = [{"bytes": None, "path": str(tmp_path / "secret.png")}]
    data = Dataset.from_dict({"image": pictures}, features=Features({"image": Image()}))
    monkeypatch.setattr(hub, "_load", lambda *_: data)
    with pytest.raises(ImageError, match="outside its root"):
        HubSource("d", "owner/name").read("0/0")


def test_images_is_told_by_what_it_is(tmp_path: Path) -> None:
    write(tmp_path, {"photos/1.png": b"", "list/metadata.jsonl": b"", "list/1.png": b"", "parts/a.parquet": b""})
    tar(tmp_path / "tars/0.tar", {})
    saved(tmp_path / "saved", 1)
    kinds = {
        "mini": "mini",
        "hf:owner/name": "hf",
        "mix.json": "llava665k",
        "list.jsonl": "list",
        "list.csv": "list",
        "a.parquet": "parquet",
        "a.tar": "tars",
        "a.tar.gz": "tars",
        "photos": "folder",
        "list": "list",
        "parts": "parquet",
        "tars": "tars",
        "saved": "hf",
        "gone": "folder",
    }
    found = {each: source_of(each if each in ("mini", "hf:owner/name") else str(tmp_path / each)) for each in kinds}
    assert {each: source["kind"] for each, source in found.items()} == kinds
    assert (found["hf:owner/name"]["path"], found["hf:owner/name"]["name"]) == ("owner/name", "name")
    assert found["list.jsonl"]["name"] == "list"


def test_drawing_over_kinds_is_balanced_seeded_and_never_the_same_twice(tmp_path: Path) -> None:
    files = {f"{number}.png": plain(number) for number in range(40)}
    write(tmp_path / "folder", dict(list(files.items())[:10]))
    write(tmp_path / "listed", dict(list(files.items())[10:20]))
    listed = rows(tmp_path / "l.jsonl", *({"image": f"listed/{number}.png"} for number in range(10, 20)))
    tar(tmp_path / "tars/0.tar", dict(list(files.items())[20:30]))

    def sources() -> Sequence[Source]:
        return [
            FolderSource("folder", tmp_path / "folder"),
            ListedSource("list", listed),
            TarSource("tars", tmp_path / "tars"),
            HubSource("hub", str(tmp_path / "saved")),
        ]

    from datasets import Dataset, Features, Image

    pictures = [{"bytes": plain(number), "path": None} for number in range(30, 40)]
    Dataset.from_dict({"image": pictures}, features=Features({"image": Image()})).save_to_disk(str(tmp_path / "saved"))
    first = draw(sources(), 20, seed=5, round=1)
    assert draw(list(reversed(sources())), 20, seed=5, round=1) == first
    second = draw(sources(), 20, seed=5, round=2, used=Used.of(first.images))
    for drawn in (first, second):
        assert sorted(image.source for image in drawn.images) == sorted(["folder", "list", "tars", "hub"] * 5)
    assert len({image.id for image in (*first.images, *second.images)}) == 40
    with pytest.raises(SenaError, match=r"There is no \.parquet file"):
        parquet_sources("p", tmp_path / "folder")
