"""sena: a vision-language model aligns itself, from nothing but unlabelled images.

The functions below are the verbs of the command line. They load what they need when they are called, not before.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__version__ = "0.1.0"
_PUBLIC = {
    "evolve": "sena.rounds.evolve",
    "pairs": "sena.rounds.evolve",
    "train": "sena.rounds.train",
    "export": "sena.rounds.export",
    "export_model": "sena.rounds.export_model",
    "convert": "sena.models.convert",
    "load": "sena.serve.speaker",
    "ask": "sena.serve.speaker",
    "chat": "sena.serve.terminal",
    "answer": "sena.serve.answer",
    "web": "sena.serve.web",
    "serve": "sena.serve.endpoint",
    "push": "sena.rounds.push",
    "evaluate": "sena.rounds.measure",
    "report": "sena.rounds.retell",
    "view": "sena.view.server",
    "compare": "sena.report.side_by_side",
    "show": "sena.report.show",
    "env": "sena.runs.environment",
    "check": "sena.checks",
    "sweep": "sena.sweeps",
    "ablate": "sena.ablate",
    "load_recipe": "sena.recipes.recipe",
}
__all__ = ["__version__", *_PUBLIC]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'sena' has no attribute {name!r}")


class _Package(ModuleType):
    """Some rooms are called like a verb (`report`, `serve`): when such a room is imported, the verb keeps its name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _PUBLIC and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
