"""Colours changed, and the augmentation of MoCo v2 which does that among other things.

As in `spoil.py`, but the picture [3, H, W] holds colours from 0 (black) to 1 (white), and so does the result.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from sena.images import spoil
from sena.images.plane import Draws

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in brightness (ITU-R BT.601)."""
YIQ = np.array([LUMA, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)])
"""Brightness and the two colour axes of NTSC: turning the latter two changes the hue and leaves grey grey."""

CUT, JITTER, BLUR = 0.8, 0.4, (0.1 / 2.24, 2 / 2.24)
"""MoCo v2 (arXiv 2003.04297): largest share of the area cut away, strength of the jitter, spread of the blur in percent
of the side (0.1 to 2 pixels of 224)."""
JITTERED, GREY, BLURRED, FLIPPED = 0.8, 0.2, 0.5, 0.5
"""How often it does each; a crop it does always."""


def jitter(picture: Tensor, strength: float, draws: Draws) -> Tensor:
    """Brightness, contrast and saturation multiplied by 1 - `strength` to 1 + `strength`, then the hue turned by up to
    `strength` of a right angle: the proportions of MoCo v2. Colours beyond black and white are cut off in between."""
    brighter = (picture * _factor(strength, draws)).clamp(0, 1)
    centre = _brightness(brighter).mean()
    contrasted = (centre + (brighter - centre) * _factor(strength, draws)).clamp(0, 1)
    grey = _brightness(contrasted)
    coloured = (grey + (contrasted - grey) * _factor(strength, draws)).clamp(0, 1)
    return _turned(coloured, draws.between(-strength, strength) * math.pi / 2).clamp(0, 1)


def moco(picture: Tensor, strength: float, draws: Draws) -> Tensor:
    """Crop, then by chance jitter, grey, blur, flip. `strength` scales sizes and chances alike; 0 leaves it whole."""
    picture = spoil.crop(picture, draws.between(0, CUT * strength), draws)
    if draws.chance(JITTERED * strength):
        picture = jitter(picture, JITTER * strength, draws)
    if draws.chance(GREY * strength):
        picture = _brightness(picture).expand_as(picture)
    if draws.chance(BLURRED * strength):
        picture = spoil.blur(picture, draws.between(*BLUR) * strength, draws)
    if draws.chance(FLIPPED * strength):
        picture = spoil.flip(picture, 1, draws)
    return picture


def _factor(strength: float, draws: Draws) -> float:
    return draws.between(1 - strength, 1 + strength)


def _brightness(picture: Tensor) -> Tensor:
    """[1, H, W]."""
    return (picture * torch.tensor(LUMA, dtype=picture.dtype).view(3, 1, 1)).sum(dim=0, keepdim=True)


def _turned(picture: Tensor, angle: float) -> Tensor:
    """The hue turned by an angle in radians."""
    cosine, sine = math.cos(angle), math.sin(angle)
    turn = np.array([(1, 0, 0), (0, cosine, -sine), (0, sine, cosine)])
    matrix = torch.from_numpy(np.linalg.inv(YIQ) @ turn @ YIQ)
    return torch.einsum("ij,jhw->ihw", matrix, picture)
