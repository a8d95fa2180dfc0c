"""Makes torchvision importable for this folder's tests, before anything imports transformers."""

from __future__ import annotations

from tests.families import vision

vision.make_importable()
