"""Several processes that train one model: which one this is, what they tell each other, and that none waits in vain.

torchrun, `accelerate launch` and Ray's TorchTrainer all leave a process group, and that is all that is read here; where
there is none, this process is alone and every function below does nothing but what it would do alone.
What ranks tell each other goes as JSON through processors' memory (gloo), only gradients through GPUs (nccl).

Legend: R ranks, P pairs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from sena.errors import SenaError

PATIENCE = timedelta(hours=2)
"""How long a rank waits for another one: longer than the first takes to write a checkpoint."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those that train together. `control` carries what they tell each other."""

    rank: int = 0
    size: int = 1
    control: Any = None

    @property
    def leads(self) -> bool:
        """Whether this rank is the one that writes."""
        return self.rank == 0

    def gather(self, value: Any) -> list[Any]:
        """The JSON values of all ranks, in their order."""
        if self.size == 1:
            return [value]
        data = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        sizes = [torch.zeros(1, dtype=torch.long) for _ in range(self.size)]
        dist.all_gather(sizes, torch.tensor([len(data)]), group=self.control)
        longest = max(int(size) for size in sizes)
        rows = [torch.zeros(longest, dtype=torch.uint8) for _ in sizes]
        dist.all_gather(rows, torch.nn.functional.pad(data, (0, longest - len(data))), group=self.control)
        return [json.loads(bytes(row[: int(size)].tolist())) for row, size in zip(rows, sizes, strict=True)]

    def together(self, work: Callable[[], Found]) -> Found:
        """`work()`, in which ranks must not wait for each other. Where it raises on one, it raises on all.

        A rank whose own work went well raises SenaError with what the first other one has to say.
        """
        if self.size == 1:
            return work()
        fault: Exception | None = None
        found: Any = None
        try:
            found = work()
        except Exception as error:  # whatever it is, the others must hear of it before it goes on
            fault = error
        faults = self.gather(None if fault is None else _words(fault))
        if fault is not None:
            raise fault
        told = next((f"{words} (rank {rank} of {self.size})" for rank, words in enumerate(faults) if words), None)
        if told:
            raise SenaError(told)
        return found

    def of_first(self, work: Callable[[], Any]) -> Any:
        """What `work()` gives to the first rank, which alone does it, as JSON."""
        return self.gather(self.together(lambda: work() if self.leads else None))[0]

    def rows(self, own: torch.Tensor, numbers: Sequence[int], count: int) -> torch.Tensor:
        """All P rows [P, ...] on the CPU, of which this rank has those with `numbers`."""
        if self.size == 1:
            return own
        whole = torch.zeros(count, *own.shape[1:], dtype=own.dtype)
        whole[list(numbers)] = own
        dist.all_reduce(whole, group=self.control)
        return whole


ALONE = Ranks()


def here() -> Ranks:
    """This process among those of the process group. All ranks must ask, and as often as one another."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return ALONE
    control = dist.new_group(backend="gloo", timeout=PATIENCE)
    return Ranks(dist.get_rank(), dist.get_world_size(), control)


def is_launched() -> bool:
    """Whether a launcher started this process as one of several."""
    return "LOCAL_RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """The process group of a launcher's processes, each with its own GPU if `device` is one. One alone has none.

    Where there is a group already (Ray Train forms one, and chooses the GPU), it is used and left as it is."""
    if "RANK" not in os.environ or dist.is_initialized():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    yield
    dist.destroy_process_group()  # not after an error: it would wait for ranks that do not come


def share(costs: Mapping[str, int], size: int) -> list[list[str]]:
    """Names shared out among `size` ranks so that costs are about equal: the dearest first, each to whom has least.

    It follows from names and costs alone, so that every rank comes to the same. A rank may get none.
    """
    parts: list[list[str]] = [[] for _ in range(size)]
    loads = [0] * size
    for name in sorted(costs, key=lambda name: (-costs[name], name)):
        least = loads.index(min(loads))
        parts[least].append(name)
        loads[least] += costs[name]
    return parts


def _words(fault: Exception) -> str:
    return str(fault) if isinstance(fault, SenaError) else f"{type(fault).__name__}: {fault}"
