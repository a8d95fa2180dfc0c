"""`python -m sena.models.unpickle FROM TO`: one pickled file of weights to safetensors, in a process of its own.

The one place that reads pickles. Torch's restricted reader takes tensors and plain containers only and runs nothing.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path


def unpickle(source: Path, target: Path) -> None:
    """Write the tensors of `source` (a flat dictionary, as `torch.save` left it) to `target`.

    Raises pickle.UnpicklingError when `source` holds anything but weights, and TypeError when it is no flat dictionary.
    """
    import torch
    from safetensors.torch import save_file

    held = torch.load(source, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(source))
    odd = [str(name) for name, tensor in held.items() if not isinstance(tensor, torch.Tensor)]
    if odd:
        raise TypeError(f"{odd[0]} is no tensor")
    # cloned, since safetensors refuses tensors that share their memory
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in held.items()}, target)


if __name__ == "__main__":
    unpickle(Path(sys.argv[1]), Path(sys.argv[2]))
