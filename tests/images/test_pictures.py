"""Pictures by id: the right one, unchanged, and decoded once as long as there is room."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from sena import ids
from sena.errors import ImageError, SenaError
from sena.images.pictures import Pictures
from sena.records import Image
from tests.images.make import Shelf, plain


def images_of(source: Shelf) -> list[Image]:
    return [
        Image(ids.of_bytes(data), source.name, path, hashlib.sha256(data).hexdigest(), 16, 12)
        for path, data in source.files.items()
    ]


@pytest.fixture
def source() -> Shelf:
    return Shelf("a", {f"{number}.png": plain(number) for number in range(4)})


def test_open_gives_the_picture_of_an_id(source: Shelf) -> None:
    images = images_of(source)
    pictures = Pictures(images, {"a": source})
    assert [pictures.open(image.id).getpixel((0, 0)) for image in images] == [(0, 0, number) for number in range(4)]
    assert images[0].id in pictures
    assert "0" * 16 not in pictures
    with pytest.raises(KeyError):
        pictures.open("0" * 16)


def test_a_changed_or_lost_file_is_refused(source: Shelf) -> None:
    images = images_of(source)
    pictures = Pictures(images, {"a": source})
    source.files["0.png"] = plain(77)
    del source.files["1.png"]
    with pytest.raises(ImageError, match=r"changed since it was drawn: a: 0\.png"):
        pictures.open(images[0].id)
    with pytest.raises(ImageError, match="missing"):
        pictures.open(images[1].id)


def test_a_picture_may_be_changed_by_its_caller(source: Shelf) -> None:
    pictures = Pictures(images_of(source), {"a": source})
    image = images_of(source)[3]
    pictures.open(image.id).paste("white", (0, 0, 16, 12))
    assert pictures.open(image.id).getpixel((0, 0)) == (0, 0, 3)


def test_the_longest_unused_is_forgotten_first(source: Shelf) -> None:
    """Room for two pictures of 16 x 12. 0, 1, 0 again, then 2 drives out 1 and not 0."""
    images = images_of(source)
    pictures = Pictures(images, {"a": source}, keep_pixels=2 * 16 * 12)
    for number in (0, 1, 0, 2, 0, 1):
        pictures.open(images[number].id)
    assert source.reads == ["0.png", "1.png", "2.png", "1.png"]


def test_a_picture_larger_than_the_room_is_given_all_the_same(source: Shelf) -> None:
    image = images_of(source)[0]
    pictures = Pictures([image], {"a": source}, keep_pixels=10)
    assert pictures.open(image.id).size == pictures.open(image.id).size == (16, 12)
    assert len(source.reads) == 2


def test_a_source_that_is_gone_is_named(source: Shelf) -> None:
    with pytest.raises(SenaError, match=r"drawn from a, which images\.sources lacks"):
        Pictures(images_of(source), {"b": source})


def test_a_mapping_is_asked_only_for_what_is_wanted(source: Shelf) -> None:
    class Asked(dict[str, Image]):
        def __iter__(self) -> Any:
            raise AssertionError("never listed")

    known = Asked({image.id: image for image in images_of(source)})
    pictures = Pictures(known, {"a": source})
    assert pictures.open(images_of(source)[2].id).size == (16, 12)
    assert source.reads == ["2.png"]
