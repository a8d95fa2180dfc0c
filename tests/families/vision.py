"""A torchvision that imports beside the CPU build of torch. Its compiled operators do not load there, and no processor
calls them; but its import describes them, and so wants their names to exist."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / ".venv" / "torchvision"
OPERATORS = (
    *("nms", "qnms", "qroi_align", "deform_conv2d", "_deform_conv2d_backward"),
    *(f"{kind}{name}{back}" for name in ("roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool")
      for kind, back in (("", ""), ("_", "_backward"))),
)  # fmt: skip
KEPT: list[object] = []
"""What a library declares lasts as long as it does."""


def make_importable() -> None:
    """Put torchvision on the path, and declare its operators where they are missing.

    Before transformers is imported, which asks for it only once.
    """
    if "transformers" in sys.modules:
        raise RuntimeError("transformers came first: run these tests by themselves, pytest tests/families")
    if not (FOLDER / "torchvision").is_dir():
        raise RuntimeError(f"no torchvision in {FOLDER}: make install puts it there")
    sys.path.insert(0, str(FOLDER))
    try:
        import torchvision  # type: ignore[import-not-found]  # noqa: F401
    except RuntimeError:  # the operators did not load; where torch is the build that it belongs to, they do
        _declare()


def _declare() -> None:
    import torch

    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    for name in OPERATORS:
        library.define(f"{name}() -> ()")
    KEPT.append(library)
    import torchvision  # type: ignore[import-not-found]  # noqa: F401
