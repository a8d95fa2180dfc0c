"""How a picture is spoiled. A kind is one small function in `WAYS`; its strength is in its own unit (`kinds.py`).

`diffusion` is forward diffusion: with beta_t = sigmoid(x_t) * (0.005 - 1e-5) + 1e-5 over 1000 even points x from -6 to
6 and abar_t = (1 - beta_0) ... (1 - beta_t), a picture becomes sqrt(abar_t) * picture + sqrt(1 - abar_t) * noise.
Shapes: C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sena.errors import SenaError
from sena.images import colour, kinds, layout, spoil
from sena.images.layout import Planes
from sena.images.plane import Colours, Way, on_colours, on_plane
from sena.records import Corruption

STEPS = 1000
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""How CLIP's processor normalises, and with it LLaVA's, Qwen's and Pixtral's."""


@cache
def _schedule() -> np.ndarray:
    """abar for all steps, [STEPS], float64: a product of a thousand factors so near to 1 is not for float32."""
    beta = 1 / (1 + np.exp(-np.linspace(-6.0, 6.0, STEPS))) * (0.005 - 1e-5) + 1e-5
    return np.cumprod(1 - beta)


def alpha_bar(step: float) -> float:
    """The share of the picture's variance that is left at a step. Raises SenaError unless 0 <= step <= 999, whole."""
    if step not in range(STEPS):
        raise SenaError(f"Diffusion noise has the steps 0 to {STEPS - 1}, not {step:g}: change corruption.strength")
    return float(_schedule()[int(step)])


def corrupt(
    pixels: Tensor, corruption: Corruption, colours: Colours | None = None, planes: Planes | None = None
) -> Tensor:
    """Spoil one picture: the model's own input, normalised, any shape, float32, on the CPU. Returns a new tensor.

    `planes` (`layout.planes`) say where whole pictures lie in it; without them it has to be one. `colours` say how the
    model normalises. `other_image` is left as it is: the request names the other picture already (`kinds.shown`). The
    same pixels and corruption give the same result, wherever the model itself runs.
    Raises SenaError for an unknown kind, a strength out of range or what `refusal` tells, TypeError for pixels of
    another type or place.
    """
    if corruption.kind not in WAYS:
        raise SenaError(f"There is no corruption {corruption.kind!r}: choose one of {', '.join(sorted(WAYS))}")
    if pixels.dtype != torch.float32 or pixels.device.type != "cpu":
        raise TypeError(f"corrupt wants float32 on the CPU, not {pixels.dtype} on {pixels.device}: spoil, then move")
    wrong = kinds.fault(corruption.kind, corruption.strength)
    if wrong:
        raise SenaError(f"corruption.strength: {wrong}")
    planes = layout.whole(pixels) if planes is None else planes
    wrong = refusal(corruption.kind, bool(planes), colours is not None)
    if wrong:
        raise SenaError(f"corruption.kind: {wrong} (its pixels have the shape {list(pixels.shape)})")
    return WAYS[corruption.kind](pixels, corruption, planes, colours)


def refusal(kind: str, has_planes: bool, has_colours: bool) -> str | None:
    """Why a kind cannot spoil what a model takes, with the mend; None when it can. It depends on the model alone, never
    on the picture, so that a run that has begun is not stopped by it."""
    mend = f"choose {', '.join(sorted(set(WAYS) - ON_PLANES - ON_COLOURS - {'none'}))}"
    if kind in ON_PLANES | ON_COLOURS and not has_planes:
        return f"{kind} has to know where a whole picture lies in what this model takes, and does not: {mend}"
    if kind in ON_COLOURS and not has_colours:
        return (
            f"{kind} has to know black from white, and this model's processor does not tell how it normalises: {mend}"
        )
    return None


def corrupt_picture(
    picture: Image.Image,
    corruption: Corruption,
    mean: Sequence[float] = CLIP_MEAN,
    std: Sequence[float] = CLIP_STD,
    size: tuple[int, int] | None = None,
) -> Image.Image:
    """The twin of `corrupt` for people, and for engines that take pictures only: an RGB picture, spoiled by the same
    draws (values that no picture can hold are clipped).

    `mean` and `std` (per channel, for pixels in 0 to 1) are the model's; `size` (width, height) resizes first. Give the
    model's size where it is known: what is spoiled at another is resized afterwards, and noise then loses most of its
    strength. Raises SenaError as `corrupt` does; `no_image` has no twin.
    """
    picture = picture.convert("RGB")
    if size is not None:
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    centre, spread = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    plain = torch.from_numpy(np.array(picture, dtype=np.float32) / 255).permute(2, 0, 1)  # [C, H, W]
    spoiled = corrupt(((plain - centre) / spread).contiguous(), corruption, Colours(mean, std)) * spread + centre
    values = (spoiled.clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(values.permute(1, 2, 0).contiguous().numpy())


def _none(pixels: Tensor, corruption: Corruption, planes: Planes, colours: Colours | None) -> Tensor:
    return pixels.clone()


def _diffusion(pixels: Tensor, corruption: Corruption, planes: Planes, colours: Colours | None) -> Tensor:
    kept = alpha_bar(corruption.strength)
    generator = torch.Generator().manual_seed(corruption.seed)
    noise = torch.randn(pixels.shape, generator=generator, dtype=torch.float32)
    return kept**0.5 * pixels + (1 - kept) ** 0.5 * noise


def _gone(pixels: Tensor, corruption: Corruption, planes: Planes, colours: Colours | None) -> Tensor:
    raise SenaError("no_image leaves nothing to spoil: ask the model without a picture")


_PLANE = {
    "blur": spoil.blur,
    "low_resolution": spoil.low_resolution,
    "crop": spoil.crop,
    "flip": spoil.flip,
    "patch_shuffle": spoil.patch_shuffle,
    "mask": spoil.mask,
}
_COLOUR = {"colour_jitter": colour.jitter, "moco": colour.moco}
ON_PLANES, ON_COLOURS = frozenset(_PLANE), frozenset(_COLOUR)
WAYS: dict[str, Way] = {
    "none": _none,
    "diffusion": _diffusion,
    **{name: on_plane(each) for name, each in _PLANE.items()},
    **{name: on_colours(each) for name, each in _COLOUR.items()},
    "no_image": _gone,
    "other_image": _none,
}
