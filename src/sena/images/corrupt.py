"""How a picture is spoiled. A kind is one small function in `KINDS`; its strength is in its own unit.

`diffusion` is forward diffusion: with beta_t = sigmoid(x_t) * (0.005 - 1e-5) + 1e-5 over 1000 even points x from -6 to
6 and abar_t = (1 - beta_0) ... (1 - beta_t), a picture becomes sqrt(abar_t) * picture + sqrt(1 - abar_t) * noise.
Shapes: C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sena.errors import SenaError
from sena.records import Corruption

STEPS = 1000


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


def corrupt(pixels: Tensor, corruption: Corruption) -> Tensor:
    """Spoil one picture: the model's own input, normalised, any shape, float32, on the CPU. Returns a new tensor.

    The same pixels and corruption give the same result, wherever the model itself runs.
    Raises SenaError for an unknown kind or a strength out of range, TypeError for pixels of another type or place.
    """
    if corruption.kind not in KINDS:
        raise SenaError(f"There is no corruption {corruption.kind!r}: choose one of {', '.join(sorted(KINDS))}")
    if pixels.dtype != torch.float32 or pixels.device.type != "cpu":
        raise TypeError(f"corrupt wants float32 on the CPU, not {pixels.dtype} on {pixels.device}: spoil, then move")
    return KINDS[corruption.kind](pixels, corruption)


def corrupt_picture(
    picture: Image.Image,
    corruption: Corruption,
    mean: Sequence[float],
    std: Sequence[float],
    size: tuple[int, int] | None = None,
) -> Image.Image:
    """The twin of `corrupt` for people: what the model sees, as an RGB picture (values outside of it are clipped).

    `mean` and `std` (per channel, for pixels in 0 to 1) are the model's; `size` (width, height) resizes first. A
    picture of the model's own size gets the very noise that the model's input gets.
    """
    picture = picture.convert("RGB")
    if size is not None:
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    centre, spread = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    plain = torch.from_numpy(np.array(picture, dtype=np.float32) / 255).permute(2, 0, 1)  # [C, H, W]
    spoiled = corrupt(((plain - centre) / spread).contiguous(), corruption) * spread + centre
    values = (spoiled.clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(values.permute(1, 2, 0).contiguous().numpy())


def _none(pixels: Tensor, corruption: Corruption) -> Tensor:
    return pixels.clone()


def _diffusion(pixels: Tensor, corruption: Corruption) -> Tensor:
    kept = alpha_bar(corruption.strength)
    generator = torch.Generator().manual_seed(corruption.seed)
    noise = torch.randn(pixels.shape, generator=generator, dtype=torch.float32)
    return kept**0.5 * pixels + (1 - kept) ** 0.5 * noise


KINDS: dict[str, Callable[[Tensor, Corruption], Tensor]] = {"none": _none, "diffusion": _diffusion}
