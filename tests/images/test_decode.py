"""Every mode and format that Pillow can make, decoded; what each picture should look like is worked by hand."""

from __future__ import annotations

import warnings
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps

from sena.errors import ImageError
from sena.images.config import LimitsConfig
from sena.images.decode import decode
from tests.images.make import encoded, photo

LIMITS = LimitsConfig()
RED, WHITE = (255, 0, 0), (255, 255, 255)


def reason(data: bytes, limits: LimitsConfig = LIMITS) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data, limits)
    return caught.value.reason


def halves(mode: str, left: object, right: object) -> Image.Image:
    """16 x 8, the left half one value, the right half another."""
    image = Image.new(mode, (16, 8), left)  # type: ignore[arg-type]
    image.paste(right, (8, 0, 16, 8))  # type: ignore[arg-type]
    return image


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_formats(kind: str) -> None:
    picture = decode(encoded(Image.new("RGB", (20, 10), RED), kind), LIMITS)
    assert (picture.mode, picture.size, picture.info) == ("RGB", (20, 10), {})
    assert np.abs(np.asarray(picture).astype(int) - RED).max() <= 3


def test_lossless_pixels_come_back_as_they_were() -> None:
    assert decode(encoded(photo()), LIMITS).tobytes() == photo().tobytes()


@pytest.mark.parametrize(
    ("image", "left", "right"),
    [
        (halves("1", 0, 1), (0, 0, 0), WHITE),
        (halves("L", 10, 200), (10, 10, 10), (200, 200, 200)),
        (halves("RGB", RED, (1, 2, 3)), RED, (1, 2, 3)),
        (halves("RGBA", (255, 0, 0, 255), (0, 0, 0, 0)), RED, WHITE),
        (halves("RGBA", (255, 0, 0, 255), (0, 0, 0, 51)), RED, (204, 204, 204)),  # 255 * (1 - 51 / 255)
        (halves("LA", (90, 255), (90, 0)), (90, 90, 90), WHITE),
        (halves("I;16", 257 * 7, 65535), (7, 7, 7), WHITE),
    ],
    ids=["1", "L", "RGB", "RGBA", "RGBA-half", "LA", "I;16"],
)
def test_modes(image: Image.Image, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    picture = decode(encoded(image), LIMITS)
    assert (picture.mode, picture.size) == ("RGB", (16, 8))
    assert (picture.getpixel((0, 0)), picture.getpixel((15, 7))) == (left, right)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_with_a_transparent_colour(kind: str) -> None:
    image = halves("P", 0, 1)
    image.putpalette([255, 0, 0, 0, 0, 255] + [0] * 762)
    picture = decode(encoded(image, kind, transparency=1), LIMITS)
    assert (picture.getpixel((0, 0)), picture.getpixel((15, 7))) == (RED, WHITE)


def test_palette_with_graded_transparency_gives_no_warning() -> None:
    image = halves("P", 0, 1)
    image.putpalette([255, 0, 0, 0, 0, 0] + [0] * 762)
    data = encoded(image, transparency=bytes([255, 51] + [255] * 254))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = decode(data, LIMITS)
    assert (picture.getpixel((0, 0)), picture.getpixel((15, 7))) == (RED, (204, 204, 204))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_one_colour_declared_transparent(mode: str) -> None:
    colours = (10, 200) if mode == "L" else ((10, 10, 10), (200, 200, 200))
    picture = decode(encoded(halves(mode, *colours), transparency=colours[0]), LIMITS)
    assert (picture.getpixel((0, 0)), picture.getpixel((15, 7))) == (WHITE, (200, 200, 200))


def test_cmyk() -> None:
    """No ink but full magenta and yellow is red; JPEG may be a few grey values off."""
    picture = decode(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG"), LIMITS)
    assert np.abs(np.asarray(picture).astype(int) - RED).max() <= 5


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_moving_pictures_give_their_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue", "green")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert np.abs(np.asarray(decode(data, LIMITS)).astype(int) - RED).max() <= 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation(kind: str, orientation: int) -> None:
    """Pillow's own `exif_transpose` is the second opinion; the result cannot be turned once more."""
    image = photo(24, 16)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(image, kind, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(BytesIO(data))).convert("RGB")
    picture = decode(data, LIMITS)
    assert (picture.size, picture.tobytes()) == (expected.size, expected.tobytes())
    assert ImageOps.exif_transpose(picture).tobytes() == picture.tobytes()


@pytest.mark.parametrize("exif", [b"Exif\0\0II*\0", b"Exif\0\0" + b"\xff" * 40, b"nonsense"])
def test_broken_exif_leaves_the_picture_as_stored(exif: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(encoded(photo(24, 16), "JPEG", exif=exif), LIMITS).size == (24, 16)


def test_limits_are_inclusive() -> None:
    limits = LimitsConfig(max_pixels=200, max_side=20, min_side=10, max_bytes=10_000)
    assert decode(encoded(Image.new("RGB", (20, 10))), limits).size == (20, 10)
    assert reason(encoded(Image.new("RGB", (20, 11))), limits) == "too many pixels"
    assert reason(encoded(Image.new("RGB", (21, 9))), limits) == "too many pixels"
    assert reason(encoded(Image.new("RGB", (20, 9))), limits) == "too small"
    assert reason(bytes(10_001), limits) == "too many bytes"


def test_formats_outside_the_allow_list_are_unknown() -> None:
    assert reason(encoded(photo(), "BMP")) == "unknown format"
    assert reason(encoded(photo(), "GIF"), LimitsConfig(formats=("PNG", "JPEG"))) == "unknown format"


def test_faults_name_their_cause() -> None:
    with pytest.raises(ImageError, match="too many pixels: 64 x 48, the limit is 100"):
        decode(encoded(photo()), LimitsConfig(max_pixels=100))
