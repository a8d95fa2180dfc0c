"""AdamW on float32 copies of low-precision weights.

A bfloat16 weight of size 0.02 has neighbours about 1e-4 away, so an update of 2e-6 rounds to nothing. The master copy
collects such updates, and the model's weight is the master rounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch

from sena.align.config import TrainConfig

Named = Iterable[tuple[str, torch.nn.Parameter]]
EPSILON = 1e-8


class AdamW:
    """Loshchilov & Hutter 2019, "Decoupled weight decay regularization", algorithm 2; all states float32.

    A float32 parameter is its own master. `tensors` gives every state by name, which is what a checkpoint holds.
    """

    def __init__(self, parameters: Named, config: TrainConfig) -> None:
        self.parameters = dict(parameters)
        self.config = config
        self.steps = 0
        self.masters = {name: weight.detach().float() for name, weight in self.parameters.items()}
        self.first = {name: torch.zeros_like(master) for name, master in self.masters.items()}
        self.second = {name: torch.zeros_like(master) for name, master in self.masters.items()}

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
            if self.masters[name].data_ptr() != weight.data_ptr():
                weight.copy_(self.masters[name])
            weight.grad = None

    def _update(self, name: str, gradient: torch.Tensor, rate: float) -> None:
        low, high = self.config.betas
        first = self.first[name].lerp_(gradient, 1 - low)
        second = self.second[name].mul_(high).addcmul_(gradient, gradient, value=1 - high)
        if rate == 0:  # the memory goes on, the weights stay to the bit
            return
        spread = (second / (1 - high**self.steps)).sqrt_().add_(EPSILON)
        master = self.masters[name].mul_(1 - rate * self.config.weight_decay)
        master.addcdiv_(first, spread, value=-rate / (1 - low**self.steps))

    def grad_norm(self) -> float:
        """Length of all gradients together, in float32."""
        norms = [weight.grad.float().norm() for weight in self.parameters.values() if weight.grad is not None]
        return float(torch.stack(norms).norm()) if norms else 0.0

    def tensors(self) -> dict[str, torch.Tensor]:
        """All that a checkpoint needs beside the number of steps."""
        parts = {"master": self.masters, "first": self.first, "second": self.second}
        return {f"{part}/{name}": tensor for part, group in parts.items() for name, tensor in group.items()}

    @torch.no_grad()
    def restore(self, tensors: dict[str, torch.Tensor], steps: int) -> None:
        """Go back to what `tensors` gave, the model's weights included."""
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])
        for name, weight in self.parameters.items():
            weight.copy_(self.masters[name])
        self.steps = steps


def clip_scale(norm: float, limit: float) -> float:
    """What to multiply gradients of length `norm` with so that they are no longer than `limit`."""
    return min(1.0, limit / (norm + 1e-6))
