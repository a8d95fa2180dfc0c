"""Short hashes of what a number depends on: the pairs, the model's weights, how text and pictures are encoded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import torch

from sena.models.vlm import VLM
from sena.records import Pair


def of_json(value: Any) -> str:
    """Hash of any JSON value; the order of keys does not count."""
    return _hex([json.dumps(value, sort_keys=True, ensure_ascii=False).encode()])


def of_pairs(pairs: Sequence[Pair]) -> str:
    """Ids, kinds, prompts and answers of the pairs, in whatever order they come."""
    rows = sorted((p.id, p.image_id, p.kind, p.prompt, p.chosen, p.rejected) for p in pairs)
    return of_json(rows)


def of_model(vlm: VLM) -> str:
    """Every weight, with its name, precision and shape."""
    return _hex(_weights(vlm))


def of_processor(vlm: VLM) -> str:
    """Template, tokenizer and image processor: equal hashes give equal ids and pixels."""
    images = vlm.processor.image_processor.to_dict()
    tokenizer = vlm.tokenizer.backend_tokenizer.to_str()
    options = {"image_token": vlm.processor.image_token, "end": vlm.end_id}
    return of_json([asdict(vlm.template), tokenizer, json.loads(json.dumps(images, default=str)), options])


def _weights(vlm: VLM) -> Iterable[bytes]:
    for name, tensor in sorted(vlm.model.state_dict().items()):
        yield f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode()
        yield tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data


def _hex(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]
