"""The model card of a miniature base: what it is, how it was made, and the hash of its weights."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

_CARD = """---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: image-text-to-text
tags: [sena, miniature, hallucination]
---

# The miniature base model

A LLaVA of {parameters:,} parameters that knows nothing but a toy world: 48 x 48 pixel scenes with two to four coloured
things on a 3 x 3 grid. It describes them, answers questions about them, asks questions and checks them, and it makes
things up: a companion (a fork by a plate, a bird by a tree) stood by its host 97 times in 100 in pre-training, so it
speaks of one that is not there.

- {made}
- It was taught true labels and true captions only, on the pre-training pool of the miniature world.
- It knows the user turns of `sena.mini.prompts` and no others.
- Weights (`model.safetensors`), sha256: `{sha256}`

What the world is, the figures of this model and how its answers change under noise: `docs/mini-world.md` of sena.
"""


def weights_sha256(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def card_sha256(folder: Path) -> str:
    """The hash that the card of a base states."""
    match = re.search(r"sha256: `([0-9a-f]{64})`", (folder / "README.md").read_text(encoding="utf-8"))
    if match is None:
        raise ValueError(f"{folder / 'README.md'} states no hash of the weights")
    return match[1]


def write_card(folder: Path, parameters: int, made: str) -> str:
    """Write the card beside the weights; returns their hash."""
    sha256 = weights_sha256(folder)
    text = _CARD.format(parameters=parameters, made=made, sha256=sha256)
    (folder / "README.md").write_text(text, encoding="utf-8")
    return sha256
