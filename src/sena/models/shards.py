"""The weight files of a published model: found, read one at a time, and written anew under other names."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sena import files
from sena.errors import ModelError

if TYPE_CHECKING:
    import torch

_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_WHOLE = ("model.safetensors", "pytorch_model.bin")


def find(folder: Path) -> list[Path]:
    """A model's weight files, safetensors before pickles. Raises ModelError when there are none, or one is missing."""
    for index, whole in zip(_INDEXES, _WHOLE, strict=True):
        if (folder / index).is_file():
            names = sorted(set(files.read_json(folder / index)["weight_map"].values()))
            missing = [name for name in names if Path(name).name != name or not (folder / name).is_file()]
            if missing:
                raise ModelError(f"{folder} lacks {missing[0]}, which its {index} names: copy it there")
            return [folder / name for name in names]
        if (folder / whole).is_file():
            return [folder / whole]
    raise ModelError(f"{folder} holds no weights ({' or '.join(_WHOLE)}, or several with an index): copy them there")


def names(folder: Path, scratch: Path) -> set[str]:
    """The names of all weights in `folder`, from its index where it has one."""
    from safetensors import safe_open

    for index in _INDEXES:
        if (folder / index).is_file():
            return set(files.read_json(folder / index)["weight_map"])
    with safe_open(readable(find(folder)[0], scratch), "pt") as held:
        return set(held.keys())


def read(file: Path, scratch: Path) -> dict[str, torch.Tensor]:
    """All tensors of one weight file; what was made of a pickle on the way is removed again."""
    from safetensors.torch import load_file

    place = readable(file, scratch)
    tensors = load_file(place)
    if place != file:
        place.unlink()
    return tensors


def readable(file: Path, scratch: Path) -> Path:
    """The file itself, or of a pickle the safetensors that a child process makes of it in `scratch`.

    Raises ModelError when the pickle holds more than weights, or is broken.
    """
    if file.suffix == ".safetensors":
        return file
    target = scratch / f"{file.stem}.safetensors"
    if target.is_file():
        return target
    command = [sys.executable, "-P", "-m", "sena.models.unpickle", str(file), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return target
    target.unlink(missing_ok=True)
    if "UnpicklingError" in done.stderr:
        raise ModelError(f"{file} holds more than weights or is broken, and sena runs no code that comes with a model")
    last = (done.stderr.strip().splitlines() or [f"the process ended with {done.returncode}"])[-1]
    raise ModelError(f"{file} could not be read: {last}")


@dataclass(slots=True)
class Writer:
    """Weight files of a new folder, `count` in all; `shapes` says what each tensor should look like."""

    folder: Path
    shapes: dict[str, tuple[int, ...]]
    count: int
    where: dict[str, str] = field(default_factory=dict)
    bytes: int = 0

    def write(self, tensors: dict[str, torch.Tensor]) -> None:
        """The next file. Raises ModelError for a tensor that the model does not have, or of another shape."""
        from safetensors.torch import save_file

        for name, tensor in tensors.items():
            if self.shapes.get(name) != tuple(tensor.shape):
                wanted = f"should be {list(self.shapes[name])}" if name in self.shapes else "has no place in the model"
                raise ModelError(f"the weight {name} is {list(tensor.shape)} and {wanted}: config.json is another's")
        number = len(set(self.where.values())) + 1
        file = f"model-{number:05d}-of-{self.count:05d}.safetensors"
        save_file(tensors, self.folder / file, metadata={"format": "pt"})
        self.where |= dict.fromkeys(tensors, file)
        self.bytes += sum(tensor.nbytes for tensor in tensors.values())

    def close(self) -> None:
        """The index. Raises ModelError when weights are missing."""
        missing = sorted(self.shapes.keys() - self.where.keys())
        if missing:
            raise ModelError(f"{len(missing)} weights are missing, the first is {missing[0]}: a file was not copied")
        index = {"metadata": {"total_size": self.bytes}, "weight_map": self.where}
        files.write_json(self.folder / "model.safetensors.index.json", index)
