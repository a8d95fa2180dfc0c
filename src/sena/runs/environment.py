"""What sena runs on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("torch", "transformers", "peft", "tokenizers", "pyarrow", "accelerate", "trl", "vllm", "ray")


def env() -> dict[str, Any]:
    """Versions (empty for a package that is not installed), system, GPUs by name, CPU threads in use and in all."""
    import torch

    import sena

    return {
        "sena": sena.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "gpus": [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())],
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count() or 1,
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
