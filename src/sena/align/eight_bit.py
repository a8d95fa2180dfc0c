"""AdamW with 8-bit states and no master copy: 6 bytes a bfloat16 weight with its gradient, where `AdamW` takes 16.

States are kept in blocks of 256 numbers, each a code in a table times its block's largest (Dettmers et al. 2022, "8-bit
optimizers via block-wise quantization", arXiv 2110.02861; bitsandbytes does the coding). Of the squares' mean it is the
root that is coded: gradients within a block differ by orders of magnitude, their squares by twice as many, and small
ones would become zero (`docs/log.md` has the measurement).

Without a master, an update smaller than the distance of a bfloat16 weight's neighbours is made with a chance: the
weight goes to a neighbour as often as the update's share of the way there. The mean movement is the exact one. The
draw's seed comes from (seed, step, weight's name), so a resumed run draws as an undisturbed one would.
"""

from __future__ import annotations

import importlib
import logging
from functools import cache
from typing import Any, NamedTuple

import torch

from sena import seeds
from sena.align.config import TrainConfig
from sena.align.optimizer import Named, Optimizer
from sena.errors import ModelError, SenaError

BLOCK = 256
BYTES_A_STATE = 1 + 4 / BLOCK  # a code, and a block's float32 scale


class Coded(NamedTuple):
    """A tensor in 8 bits: `codes` in its shape (uint8), one of `scales` (float32) for each block of it."""

    codes: torch.Tensor
    scales: torch.Tensor


class AdamW8bit(Optimizer):
    """As `AdamW`, with the states coded between steps. `seed` stands for run and round.

    Raises SenaError where bitsandbytes is missing, and ModelError for float16 weights, which it cannot round.
    """

    def __init__(self, parameters: Named, config: TrainConfig, seed: int) -> None:
        super().__init__(parameters, config)
        if any(weight.dtype == torch.float16 for weight in self.parameters.values()):
            raise ModelError("train.optimizer=adamw_8bit takes no float16 weights: set model.dtype=bfloat16")
        tables = demand().create_dynamic_map
        place = next((weight.device for weight in self.parameters.values()), None)
        self.seed = seed
        self.tables = {"first": tables(signed=True).to(place), "root": tables(signed=False).to(place)}
        self.first = {name: _zeros(weight) for name, weight in self.parameters.items()}
        self.root = {name: _zeros(weight) for name, weight in self.parameters.items()}

    def tensors(self) -> dict[str, torch.Tensor]:
        found = {f"table/{part}": table for part, table in self.tables.items()}
        found |= {f"weight/{name}": weight.detach() for name, weight in self.parameters.items()}
        for part, group in (("first", self.first), ("root", self.root)):
            found |= {f"{part}/codes/{name}": coded.codes for name, coded in group.items()}
            found |= {f"{part}/scales/{name}": coded.scales for name, coded in group.items()}
        return found

    def _update(self, name: str, gradient: torch.Tensor, rate: float) -> None:
        first = decode(self.first[name], self.tables["first"])
        second = decode(self.root[name], self.tables["root"]).square_()
        self._add(first, second, gradient)
        self.first[name] = encode(first, self.tables["first"])
        self.root[name] = encode(second.sqrt(), self.tables["root"])
        if rate == 0:
            return
        weight = self.parameters[name]
        exact = weight.detach().float()
        self._descend(exact, first, second, rate)
        if weight.dtype == torch.bfloat16:
            draw = torch.Generator(weight.device).manual_seed(seeds.derive(self.seed, "rounding", self.steps, name))
            weight.copy_(round_by_chance(exact, draw))


def encode(exact: torch.Tensor, table: torch.Tensor) -> Coded:
    """A float32 tensor in 8 bits: the nearest entries of `table` [256], ascending in -1 to 1."""
    codes, state = demand().quantize_blockwise(exact, code=table, blocksize=BLOCK)
    return Coded(codes, state.absmax)


def decode(coded: Coded, table: torch.Tensor) -> torch.Tensor:
    """The float32 tensor that `coded` stands for."""
    return demand().dequantize_blockwise(coded.codes, absmax=coded.scales, code=table, blocksize=BLOCK)


def round_by_chance(exact: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """Float32 to bfloat16, up or down so that the mean is the exact number; what bfloat16 holds stays as it is.

    A bfloat16 number is the upper half of a float32's bits. A draw from all lower halves is added, and carries into
    the upper one as often as the lower one is large.
    """
    chance = torch.randint(1 << 16, exact.shape, dtype=torch.int32, device=exact.device, generator=draw)
    bits = exact.view(torch.int32).add(chance).bitwise_and_(-(1 << 16))
    return bits.view(torch.float32).bfloat16()


@cache
def demand() -> Any:
    """The module of bitsandbytes that codes. Raises SenaError with the mend where it is missing."""
    logger = logging.getLogger("bitsandbytes")
    level = logger.level
    logger.setLevel(logging.ERROR)  # at import it tells of kernels that are not needed here
    try:
        return importlib.import_module("bitsandbytes.functional")
    except ImportError as error:
        raise SenaError("train.optimizer=adamw_8bit needs bitsandbytes: pip install 'sena[gpu]'") from error
    finally:
        logger.setLevel(level)


def _zeros(weight: torch.Tensor) -> Coded:
    blocks = -(-weight.numel() // BLOCK)
    codes = torch.zeros(weight.shape, dtype=torch.uint8, device=weight.device)
    return Coded(codes, torch.zeros(blocks, device=weight.device))
