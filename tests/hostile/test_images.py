"""Pictures that want to harm: links and paths out of the root, bombs, halves, and what only calls itself a picture."""

from __future__ import annotations

import json
import os
import struct
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sena.errors import ImageError, SenaError
from sena.images.config import LimitsConfig
from sena.images.decode import decode
from sena.images.llava665k import llava665k_sources
from sena.images.sample import draw
from sena.images.sources import FolderSource
from tests.images.make import encoded, photo, plain, write

LIMITS = LimitsConfig()


def reason(data: bytes, limits: LimitsConfig = LIMITS) -> str:
    """Why `decode` refuses the data; a warning on the way is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError) as caught:
            decode(data, limits)
    return caught.value.reason


def outcome_of(data: bytes) -> str:
    """The mode of the picture, or the reason why there is none."""
    try:
        return decode(data, LIMITS).mode
    except ImageError as error:
        return error.reason


def refusal(source: FolderSource, path: str) -> str:
    with pytest.raises(ImageError) as caught:
        source.read(path)
    return caught.value.reason


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG whose header may claim any size, whatever its data hold."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + body + chunk(b"IEND", b"")


def bomb_gif(width: int, height: int) -> bytes:
    """A GIF whose screen is small and whose first frame is not."""
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", 16, 16, 0x80, 0, 0) + bytes(6) + frame + b";"


def bomb_jpeg(width: int, height: int) -> bytes:
    """A good JPEG whose frame header claims another size."""
    data = bytearray(encoded(photo(), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("side", [10_001, 11_000, 14_000, 16_000, 60_000, 2**31 - 1])
def test_png_bombs_are_stopped_by_their_header(side: int) -> None:
    """Below, inside and above the range where the library only warns (89 to 179 million pixels)."""
    assert reason(png(side, side)) == "too many pixels"


@pytest.mark.parametrize("data", [bomb_gif(40_000, 40_000), bomb_gif(11_000, 11_000), bomb_jpeg(65_000, 65_000)])
def test_other_bombs(data: bytes) -> None:
    assert reason(data) == "too many pixels"


def test_a_switched_off_library_limit_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert reason(png(60_000, 60_000)) == "too many pixels"


def test_a_strip_whose_square_would_be_a_bomb() -> None:
    assert reason(png(90_000, 20)) == "too many pixels"


def test_compressed_text_chunk_bomb() -> None:
    text = chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(80_000_000)))
    assert reason(png(64, 64, text)) in ("damaged", "truncated")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_truncated_files(kind: str) -> None:
    """Half a file is truncated. Any other part of it is refused too, unless all of its pixels are there."""
    data = encoded(photo(), kind)
    assert reason(data[: len(data) // 2]) == "truncated"
    whole = decode(data, LIMITS).tobytes()
    for length in range(1, len(data), len(data) // 40):
        outcome = outcome_of(data[:length])
        assert outcome in ("truncated", "damaged", "unknown format") or decode(data[:length], LIMITS).tobytes() == whole


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_scrambled_files_give_a_picture_or_a_reason(kind: str) -> None:
    """Every byte of the header changed in turn: never another exception, never a warning."""
    data = encoded(photo(16, 16), kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for at in range(min(len(data), 200)):
            outcome = outcome_of(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
            assert outcome in ("RGB", "truncated", "damaged", "unknown format", "too many pixels", "too small")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty"),
        (b"this is a text and no picture", "unknown format"),
        (b"\0" * 1000, "unknown format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unknown format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unknown format"),
        (b"RIFF\x10\0\0\0WAVEfmt 0123", "unknown format"),
        (b"\xff\xd8\xff", "damaged"),
        (encoded(Image.new("RGB", (3, 300))), "too small"),
    ],
)
def test_what_only_calls_itself_a_picture(data: bytes, expected: str) -> None:
    assert reason(data) == expected


def test_many_threads_decode_at_once_and_leave_the_warning_filters_alone() -> None:
    data, before, faults = encoded(photo(), "JPEG"), list(warnings.filters), []

    def work() -> None:
        for _ in range(20):
            faults.extend({outcome_of(data), outcome_of(png(11_000, 11_000))} - {"RGB", "too many pixels"})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert list(warnings.filters) == before


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with good pictures and every way out of it; `secret` lies beside it."""
    write(tmp_path / "secret", {"key.png": plain(1), "deep/more.png": plain(2)})
    root = write(tmp_path / "root", {"good.png": plain(3), "sub/fine.png": plain(4)})
    (root / "out.png").symlink_to(tmp_path / "secret" / "key.png")
    (root / "outside").symlink_to(tmp_path / "secret", target_is_directory=True)
    (root / "in.png").symlink_to(root / "sub" / "fine.png")
    (root / "inside").symlink_to(root / "sub", target_is_directory=True)
    (root / "round").symlink_to(root, target_is_directory=True)
    (root / "dangling.png").symlink_to(root / "gone.png")
    (root / "circle.png").symlink_to(root / "circle.png")
    return root


def test_links_stay_below_the_root(tree: Path) -> None:
    source = FolderSource("mine", tree)
    assert source.list() == ["circle.png", "dangling.png", "good.png", "in.png", "out.png", "sub/fine.png"]
    assert [(item.path, item.reason) for item in source.unlisted()] == [("outside", "outside its root")]
    assert source.read("in.png") == plain(4)
    assert refusal(source, "out.png") == "outside its root"
    assert refusal(source, "outside/key.png") == "outside its root"
    assert refusal(source, "dangling.png") == "missing"
    assert refusal(source, "circle.png") in ("unreadable", "missing")


@pytest.mark.parametrize(
    "path", ["../secret/key.png", "sub/../../secret/key.png", "/etc/passwd", "/", "..", "../root2"]
)
def test_paths_that_climb_out(tree: Path, path: str) -> None:
    (tree.parent / "root2").mkdir()  # its name begins like the root's
    assert refusal(FolderSource("mine", tree), path) == "outside its root"


@pytest.mark.parametrize("path", ["", "sub", "nul\0l.png", "long" * 100 + ".png"])
def test_paths_that_are_no_files(tree: Path, path: str) -> None:
    assert refusal(FolderSource("mine", tree), path) == "unreadable"


def test_a_pipe_does_not_block(tree: Path) -> None:
    os.mkfifo(tree / "pipe.png")
    assert refusal(FolderSource("mine", tree), "pipe.png") == "unreadable"


def test_a_linked_root_is_the_users_choice(tree: Path) -> None:
    link = tree.parent / "link"
    link.symlink_to(tree, target_is_directory=True)
    assert FolderSource("mine", link).read("good.png") == plain(3)


def test_size_is_checked_before_reading(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("was opened")

    os.truncate(tree / "good.png", 10**12)  # a hole, no data
    monkeypatch.setattr("builtins.open", never)
    assert refusal(FolderSource("mine", tree), "good.png") == "too many bytes"


def test_names_that_are_no_text(tree: Path) -> None:
    (tree / os.fsdecode(b"caf\xe9.png")).write_bytes(plain(9))
    source = FolderSource("mine", tree)
    assert all(path.isascii() for path in source.list())
    assert ("caf\\xe9.png", "name is not text") in [(item.path, item.reason) for item in source.unlisted()]


def test_an_unreadable_folder_is_told(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_scandir(monkeypatch, tree / "sub")
    source = FolderSource("mine", tree)
    assert "good.png" in source.list()
    drawn = draw([source], count=1, seed=0, round=1)
    assert ("sub", "unreadable folder") in [(item.path, item.reason) for item in drawn.skipped]


def test_an_unreadable_root_is_one_sentence(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_scandir(monkeypatch, tree)
    with pytest.raises(SenaError, match=r"may not be read: .*chmod"):
        FolderSource("mine", tree).list()


def test_an_unreadable_file_is_skipped(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = open

    def guarded(path: Any, *args: Any, **options: Any) -> Any:
        if str(path).endswith("good.png"):
            raise PermissionError(13, "Permission denied", str(path))
        return usual(path, *args, **options)

    monkeypatch.setattr("builtins.open", guarded)
    with pytest.raises(ImageError, match=r"unreadable: good\.png \(Permission denied\)"):
        FolderSource("mine", tree).read("good.png")


def refuse_scandir(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Tests may run as root, whom no mode bits stop."""
    usual = os.scandir

    def guarded(path: Any) -> Any:
        if os.path.normpath(path) == os.path.normpath(folder):
            raise PermissionError(13, "Permission denied", str(path))
        return usual(path)

    monkeypatch.setattr(os, "scandir", guarded)


def test_annotation_paths_that_climb_out(tmp_path: Path) -> None:
    names = ["/etc/passwd.jpg", "coco/../../x.jpg", "../x.jpg", "coco/good.png", "coco/out.png", "coco/\ud800.png"]
    write(tmp_path, {"coco/good.png": plain(1)})
    write(tmp_path.parent, {"x.jpg": plain(2)})
    (tmp_path / "coco" / "out.png").symlink_to(tmp_path.parent / "x.jpg")
    (tmp_path / "mix.json").write_text(json.dumps([{"image": name} for name in names]))
    (source,) = llava665k_sources("mix", tmp_path / "mix.json")
    assert source.list() == ("good.png", "out.png")
    assert [item.reason for item in source.unlisted()] == ["outside its root"] * 3 + ["name is not text"]
    for path in ("out.png", "../../x.jpg", "/etc/passwd"):
        with pytest.raises(ImageError, match="outside its root"):
            source.read(path)


def test_a_hostile_folder_gives_its_good_pictures_and_a_reason_for_each_other(tmp_path: Path) -> None:
    jpeg = encoded(photo(), "JPEG")
    bad = {
        "bomb.png": png(60_000, 60_000),
        "half.jpg": jpeg[: len(jpeg) // 2],
        "text.png": b"no picture",
        "zero.gif": b"",
        "tiny.png": plain(1, (2, 2)),
        "twin.PNG": plain(7),
    }
    root = write(
        tmp_path, {**bad, "a.png": plain(7), "b.webp": encoded(photo(), "WEBP"), "gif.jpg": encoded(photo(), "GIF")}
    )
    with pytest.raises(SenaError, match=r"needs 9 pictures and 3 can be had; 6 skipped .*--limit 3 or more images"):
        draw([FolderSource("mine", root)], count=9, seed=0, round=1)
    drawn = draw([FolderSource("mine", root)], count=9, seed=0, round=1, at_least=3)
    assert len(drawn.images) == 3
    assert sorted(item.reason for item in drawn.skipped) == [
        "already used", "empty", "too many pixels", "too small", "truncated", "unknown format",
    ]  # fmt: skip
