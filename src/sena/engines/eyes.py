"""The part of a model that makes tokens of pictures, alone: what vLLM is shown is then the local engine's own input.

Legend: P tokens of a picture, D width of the language model.
"""

from __future__ import annotations

import torch

from sena.engines.base import OpenImage
from sena.engines.looks import Looks
from sena.models import encode
from sena.models.load import load, resolve_device
from sena.models.vlm import VLM
from sena.records import Request

FAMILIES = frozenset({"llava"})
"""Families of which vLLM takes [P, D] and nothing beside: others want grids, sizes or layers in between as well."""


def eyes(name: str, dtype: str, device: str) -> VLM:
    """The model without its language half, which is dropped before anything goes to the device."""
    vlm = load(name, dtype, "cpu")
    vlm.model.model.language_model = torch.nn.Identity()
    vlm.model.lm_head = torch.nn.Identity()
    vlm.model.to(resolve_device(device))
    return vlm


@torch.inference_mode()
def look_at(vlm: VLM, looks: Looks, request: Request, open_image: OpenImage) -> torch.Tensor:
    """The tokens [P, D] of the request's picture, spoiled or not, as they stand behind the projector."""
    pixels = looks.at(vlm, request, open_image)
    assert pixels is not None
    seen = vlm.model.get_image_features(**encode.stack([pixels], vlm.device, vlm.dtype))
    return seen.pooler_output[0].cpu()
