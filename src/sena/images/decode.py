"""From a file's bytes to an RGB picture. The bytes may be anything: every fault becomes an ImageError with a reason."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from sena.errors import ImageError
from sena.images.config import LimitsConfig, PictureFormat

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_MAGIC: dict[PictureFormat, bytes] = {
    "JPEG": b"\xff\xd8\xff",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "GIF": b"GIF8",
    "WEBP": b"RIFF",
}
_filters = threading.Lock()  # Python's warning filters belong to the whole process


def decode(data: bytes, limits: LimitsConfig) -> Image.Image:
    """The picture as plain RGB: upright, first frame, transparent parts on white (as a browser shows them).

    Sizes are judged by the header, before any pixel is decoded. Colour profiles are not applied. The result carries
    no metadata, so nobody can turn it a second time.
    Raises ImageError: `empty`, `too many bytes`, `unknown format`, `too many pixels`, `too small`, `truncated` or
    `damaged`.
    """
    if not data:
        raise ImageError("empty")
    if len(data) > limits.max_bytes:
        raise ImageError("too many bytes", f"{len(data)}, the limit is {limits.max_bytes}")
    with _open(data, limits) as image:
        _judge(image.size, limits)
        try:
            image.load()
            picture = _turned(_rgb(image), _orientation(image))
        except Exception as error:  # a decoder fed with hostile bytes may raise anything
            raise _fault(error, data) from error
    picture.info.clear()
    return picture


def _open(data: bytes, limits: LimitsConfig) -> Image.Image:
    """Reads the header only. The library warns above its own size limit and goes on; we judge sizes ourselves."""
    try:
        with _quiet():
            return Image.open(BytesIO(data), formats=limits.formats)
    except Image.DecompressionBombError as error:
        raise ImageError("too many pixels", f"the limit is {limits.max_pixels}") from error
    except UnidentifiedImageError as error:
        raise _unidentified(data, limits) from error
    except Exception as error:
        raise _fault(error, data) from error


def _judge(size: tuple[int, int], limits: LimitsConfig) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise ImageError("too many pixels", f"{width} x {height}, the limit is {limits.max_pixels}")
    if max(size) > limits.max_side:
        raise ImageError("too many pixels", f"{width} x {height}, the longest side allowed is {limits.max_side}")
    if min(size) < limits.min_side:
        raise ImageError("too small", f"{width} x {height}, the shortest side allowed is {limits.min_side}")


def _rgb(image: Image.Image) -> Image.Image:
    """A new RGB picture from a loaded one of any mode."""
    if image.mode.startswith("I"):  # 16 bits a pixel: scale, where the library would cut at 255
        grey = np.clip(np.asarray(image).astype(np.float32) / 257, 0, 255)
        return Image.fromarray(np.rint(grey).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    picture = Image.new("RGB", image.size, "white")
    picture.paste(layered, mask=layered.getchannel("A"))
    return picture


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) when there is none or it is broken: the pixels are good all the same."""
    try:
        with _quiet():
            return image.getexif().get(_ORIENTATION, 1)
    except Exception:
        return 1


def _turned(picture: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    return picture if turn is None else picture.transpose(turn)


def format_of(data: bytes) -> PictureFormat | None:
    """What a file is by its first bytes, whatever it is called."""
    name: PictureFormat | None = next((name for name, magic in _MAGIC.items() if data.startswith(magic)), None)
    return None if name == "WEBP" and data[8:12] != b"WEBP" else name


def _unidentified(data: bytes, limits: LimitsConfig) -> ImageError:
    """No decoder took it: is it a picture cut or broken in its header, or something else altogether?"""
    name = format_of(data)
    if name not in limits.formats:
        return ImageError("unknown format", f"none of {', '.join(limits.formats)}")
    return ImageError("truncated" if _short_webp(data) else "damaged", f"broken {name} header")


def _fault(error: Exception, data: bytes) -> ImageError:
    short = isinstance(error, EOFError) or "truncated" in str(error).lower() or _short_webp(data)
    return ImageError("truncated" if short else "damaged", str(error) or type(error).__name__)


def _short_webp(data: bytes) -> bool:
    """Whether a WebP file is shorter than its header says: its decoder does not tell cut from broken."""
    return data.startswith(_MAGIC["WEBP"]) and int.from_bytes(data[4:8], "little") + 8 > len(data)


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings of the imaging library: each either becomes an ImageError of ours or does not matter."""
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
