"""sena: a vision-language model aligns itself, from nothing but unlabelled images.

The functions below are the verbs of the command line. They load what they need when they are called, not before.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
_PUBLIC = {
    "evolve": "sena.rounds.evolve",
    "pairs": "sena.rounds.evolve",
    "train": "sena.rounds.train",
    "export": "sena.rounds.export",
    "ask": "sena.rounds.speak",
    "evaluate": "sena.rounds.speak",
    "report": "sena.rounds.retell",
    "check": "sena.checks",
    "load_recipe": "sena.recipes.recipe",
}
__all__ = ["__version__", "ask", "check", "evaluate", "evolve", "export", "load_recipe", "pairs", "report", "train"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'sena' has no attribute {name!r}")
