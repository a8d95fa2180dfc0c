"""A miniature world with known truth and a miniature model that lives in it. Built on the public parts only."""

from __future__ import annotations

from pathlib import Path


def mini_folder() -> Path:
    """The folder of the shipped miniature base model, in Hugging Face layout."""
    return Path(__file__).parent / "base"
