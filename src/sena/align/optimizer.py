"""AdamW on float32 copies of low-precision weights.

A bfloat16 weight of size 0.02 has neighbours about 1e-4 away, so an update of 2e-6 rounds to nothing. The master copy
collects such updates, and the model's weight is the master rounded. `eight_bit.py` does without the copy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

import torch

from sena.align.config import TrainConfig

Named = Iterable[tuple[str, torch.nn.Parameter]]
EPSILON = 1e-8


class Optimizer(ABC):
    """What the trainer and a checkpoint ask of an optimizer: its `steps`, an update, and its state as plain tensors."""

    def __init__(self, parameters: Named, config: TrainConfig) -> None:
        self.parameters = dict(parameters)
        self.config = config
        self.steps = 0

    @torch.no_grad()
    def step(self, rate: float, scale: float = 1.0, others: Mapping[str, float] | None = None) -> None:
        """One update at learning rate `rate`, gradients multiplied by `scale` (clipping), which are then dropped.

        `others` are the rates, by name, of weights that have one of their own.
        """
        self.steps += 1
        for name, weight in self.parameters.items():
            if weight.grad is None:
                continue
            self._update(name, weight.grad.float() * scale, (others or {}).get(name, rate))
            weight.grad = None

    def grad_norm(self) -> float:
        """Length of all gradients together, in float32."""
        norms = [weight.grad.float().norm() for weight in self.parameters.values() if weight.grad is not None]
        return float(torch.stack(norms).norm()) if norms else 0.0

    @torch.no_grad()
    def restore(self, tensors: dict[str, torch.Tensor], steps: int) -> None:
        """Go back to what `tensors` gave, the model's weights included."""
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])
        self.steps = steps

    @abstractmethod
    def tensors(self) -> dict[str, torch.Tensor]:
        """All that a checkpoint needs beside the number of steps."""

    @abstractmethod
    def _update(self, name: str, gradient: torch.Tensor, rate: float) -> None:
        """Move the weight `name` along its gradient (float32)."""

    def _add(self, first: torch.Tensor, second: torch.Tensor, gradient: torch.Tensor) -> None:
        """Take the gradient into the means of gradients and of their squares, in place."""
        low, high = self.config.betas
        first.lerp_(gradient, 1 - low)
        second.mul_(high).addcmul_(gradient, gradient, value=1 - high)

    def _descend(self, weight: torch.Tensor, first: torch.Tensor, second: torch.Tensor, rate: float) -> None:
        """Loshchilov & Hutter 2019, "Decoupled weight decay regularization", algorithm 2, in place and in float32."""
        low, high = self.config.betas
        spread = (second / (1 - high**self.steps)).sqrt_().add_(EPSILON)
        weight.mul_(1 - rate * self.config.weight_decay)
        weight.addcdiv_(first, spread, value=-rate / (1 - low**self.steps))


class AdamW(Optimizer):
    """All states float32: 16 bytes a bfloat16 weight with its gradient. A float32 parameter is its own master."""

    def __init__(self, parameters: Named, config: TrainConfig) -> None:
        super().__init__(parameters, config)
        self.masters = {name: weight.detach().float() for name, weight in self.parameters.items()}
        self.first = {name: torch.zeros_like(master) for name, master in self.masters.items()}
        self.second = {name: torch.zeros_like(master) for name, master in self.masters.items()}

    def tensors(self) -> dict[str, torch.Tensor]:
        parts = {"master": self.masters, "first": self.first, "second": self.second}
        return {f"{part}/{name}": tensor for part, group in parts.items() for name, tensor in group.items()}

    @torch.no_grad()
    def restore(self, tensors: dict[str, torch.Tensor], steps: int) -> None:
        super().restore(tensors, steps)
        for name in self.parameters:
            self._round(name)

    def _update(self, name: str, gradient: torch.Tensor, rate: float) -> None:
        first, second = self.first[name], self.second[name]
        self._add(first, second, gradient)
        if rate == 0:  # the memory goes on, the weights stay to the bit
            return
        self._descend(self.masters[name], first, second, rate)
        self._round(name)

    def _round(self, name: str) -> None:
        weight, master = self.parameters[name], self.masters[name]
        if master.data_ptr() != weight.data_ptr():
            weight.copy_(master)


def clip_scale(norm: float, limit: float) -> float:
    """What to multiply gradients of length `norm` with so that they are no longer than `limit`."""
    return min(1.0, limit / (norm + 1e-6))
