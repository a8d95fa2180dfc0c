"""Which pairs are shown, their pictures, and where two answers differ."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
from PIL import Image as PIL

from sena.errors import ImageError
from sena.images.corrupt import corrupt_picture
from sena.records import Corruption
from sena.report.differ import clip, compare
from sena.report.gallery import Pictures, sample
from tests.report.make import LOOK, image, pairs, picture, row

ALL = [pair for number in range(8) for pair in pairs(row(image(1, number)))]


def opened(uri: str) -> PIL.Image:
    return PIL.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_a_sample_is_seeded_and_takes_kinds_in_turn() -> None:
    taken = sample(ALL, 6, 1)
    assert taken == sample(list(reversed(ALL)), 6, 1)
    assert [pair.kind for pair in taken] == ["answer", "description"] * 3
    assert taken != sample(ALL, 6, 2)


def test_a_picture_comes_twice_only_when_the_others_are_used_up() -> None:
    answers = [pair for pair in ALL if pair.kind == "answer"]
    again = [replace(answers[0], id=f"again {number}") for number in range(20)]
    assert len({pair.image_id for pair in sample(answers + again, 8, 1)}) == 8


def test_words_that_differ_are_marked_on_their_own_side() -> None:
    chosen, rejected = compare("A red apple.", "A knife.")
    assert chosen == [(False, "A "), (True, "red apple"), (False, ".")]
    assert rejected == [(False, "A "), (True, "knife"), (False, ".")]


def test_scripts_without_spaces_are_compared_by_character() -> None:
    chosen, rejected = compare("桌上有红苹果", "桌上有刀")
    assert chosen == [(False, "桌上有"), (True, "红苹果")]
    assert rejected == [(False, "桌上有"), (True, "刀")]


def test_texts_too_long_to_compare_are_shown_unmarked() -> None:
    long = "word " * 2000
    assert compare(long, "word") == ([(False, long)], [(False, "word")])


def test_long_texts_are_cut_and_say_so() -> None:
    assert clip("x" * 50, 10) == "x" * 10 + " … (40 more characters)"


def test_a_spoiled_picture_is_padded_and_spoiled_as_the_model_saw_it() -> None:
    """64 x 48 becomes a square of 64 with 8 rows of mean colour above and below, then 48 x 48, then noise."""
    pair = ALL[0]
    shown = opened(Pictures(picture, LOOK, 10**6).spoiled(pair).uri)
    square = PIL.new("RGB", (64, 64), (122, 117, 104))  # int(0.48 x 255), int(0.46 x 255), int(0.41 x 255)
    square.paste(picture(pair.image_id), (0, 8))
    spoiled = Corruption("diffusion", 600.0, 7)
    wanted = corrupt_picture(square, spoiled, LOOK.mean, LOOK.std, (48, 48))
    assert np.array_equal(np.asarray(shown), np.asarray(wanted))
    stretched = opened(Pictures(picture, replace(LOOK, pads=False), 10**6).spoiled(pair).uri)
    wanted = corrupt_picture(picture(pair.image_id), spoiled, LOOK.mean, LOOK.std, (48, 48))
    assert np.array_equal(np.asarray(stretched), np.asarray(wanted))


def test_pictures_that_cannot_be_had_become_reasons() -> None:
    def broken(image_id: str) -> PIL.Image:
        raise ImageError("missing", f"{image_id}.jpg")

    assert "missing" in Pictures(broken, LOOK, 10**6).clean("a").reason
    assert "not at hand" in Pictures(None, LOOK, 10**6).clean("a").reason
    assert "not known" in Pictures(picture, None, 10**6).spoiled(ALL[0]).reason
    assert "small" in Pictures(picture, LOOK, 100).clean(ALL[0].image_id).reason
    strange = replace(ALL[0], corruption="a kind of a later version")
    assert "cannot be shown" in Pictures(picture, LOOK, 10**6).spoiled(strange).reason
    assert Pictures(picture, LOOK, 10**6).spoiled(replace(ALL[0], corruption="")).reason == "not spoiled"


def test_a_request_without_its_picture_or_with_another_is_shown_so() -> None:
    """Of the round's two other pictures the even seed takes the first."""
    pictures = Pictures(picture, LOOK, 10**6)
    blind = replace(ALL[0], corruption="no_image", strength=0.0)
    assert pictures.spoiled(blind).reason == "asked without a picture"
    ids = sorted({pair.image_id for pair in ALL})[:3]
    swapped = replace(ALL[0], image_id=ids[0], corruption="other_image", strength=0.0, corruption_seed=8)
    alone = replace(swapped, image_id=ids[1], corruption="none")
    assert pictures.spoiled(swapped, ids).uri == pictures.spoiled(alone).uri
    assert "a second picture" in pictures.spoiled(swapped, ids[:1]).reason


def test_a_large_picture_becomes_a_small_jpeg_once() -> None:
    opens: list[str] = []

    def large(image_id: str) -> PIL.Image:
        opens.append(image_id)
        return PIL.new("CMYK", (3000, 2000))

    pictures = Pictures(large, LOOK, 10**6)
    first, second = pictures.clean("a"), pictures.clean("a")
    assert first == second
    assert opens == ["a"]
    assert opened(first.uri).size == (240, 160)
    assert first.uri.startswith("data:image/jpeg;base64,")
