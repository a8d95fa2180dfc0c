"""How the weights lie on the ranks: whole on each (as DDP has them), or each layer cut into rows (FSDP2).

Replicas add their gradients once a step rather than during the backward pass: a step is many batches, of which ranks
may have different numbers or none, and what overlap would hide is small beside them (`docs/scaling.md`). Of shards the
layers come together for each batch, so there every rank runs as many batches as the others.

Legend: R ranks, N rows of a weight, C rows that a rank holds at most (the smallest whole number from N / R on).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
import torch.distributed as dist

from sena.align import modes
from sena.align.ranks import Ranks
from sena.errors import ModelError, SenaError
from sena.models.vlm import VLM

BUCKET = 2**26
"""Gradients that go to the other ranks at a time, in float32 (256 MiB)."""
DRIFT = 1e-3
"""Relative gap between the lengths of replicas' gradients that is still rounding."""


class Parallel(Protocol):
    """What the training loop asks of the way in which weights lie on the ranks."""

    ranks: Ranks
    in_step: bool
    """Whether all ranks must run the same number of batches."""

    def weights(self) -> list[tuple[str, torch.nn.Parameter]]:
        """What this rank's optimizer moves, by name."""
        ...

    def add_gradients(self, weights: Mapping[str, torch.nn.Parameter]) -> None:
        """Give those weights the gradient of all ranks' batches."""
        ...

    def norm(self, norms: Sequence[float]) -> float:
        """Length of the whole gradient, from the lengths [R] of what the ranks' optimizers have of it."""
        ...

    def whole(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The optimizer's tensors as one process would have them, on the first rank; nothing on the others."""
        ...

    def own(self, tensor: torch.Tensor) -> torch.Tensor:
        """This rank's part of such a whole tensor."""
        ...

    def finish(self, policy: VLM) -> VLM | None:
        """The trained model as one process would have it; of shards on the first rank alone, and None on the others."""
        ...


class Replicas:
    """Every rank holds the model and moves it in the same way. With one rank there is nothing to do."""

    in_step = False

    def __init__(self, policy: VLM, ranks: Ranks) -> None:
        self.policy, self.ranks = policy, ranks

    def weights(self) -> list[tuple[str, torch.nn.Parameter]]:
        return modes.learning(self.policy)

    def add_gradients(self, weights: Mapping[str, torch.nn.Parameter]) -> None:
        """Summed in float32. A weight that no rank has a gradient of keeps none, as in one process."""
        if self.ranks.size == 1:
            return
        found = torch.tensor([weight.grad is not None for weight in weights.values()], dtype=torch.int32)
        dist.all_reduce(found, dist.ReduceOp.MAX, group=self.ranks.control)
        learned = [weight for weight, has in zip(weights.values(), found.tolist(), strict=True) if has]
        for bucket in _buckets(learned):
            _add(bucket)

    def norm(self, norms: Sequence[float]) -> float:
        """The first rank's, so that all shorten alike. Raises SenaError when the replicas are no longer the same."""
        if any(abs(norm - norms[0]) > DRIFT * norms[0] for norm in norms):
            raise SenaError(
                f"The ranks' gradients have the lengths {', '.join(f'{norm:.6g}' for norm in norms)}, which must be "
                "one: their models are not the same. Give all nodes the same files and versions, and start again"
            )
        return norms[0]

    def whole(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return dict(tensors) if self.ranks.leads else {}

    def own(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor

    def finish(self, policy: VLM) -> VLM | None:
        return policy


class Shards:
    """Every rank holds C rows of each weight, of its gradient and of the optimizer's states.

    The frozen vision tower stays whole on each rank and outside what is wrapped, so that a rank whose batch has no
    picture waits for nobody. Raises ModelError when weights that learn have several precisions.
    """

    in_step = True

    def __init__(self, policy: VLM, ranks: Ranks) -> None:
        self.ranks, self.policy = ranks, policy
        self.names = [name for name, _ in modes.learning(policy)]
        kinds = {weight.dtype for _, weight in modes.learning(policy)}
        if len(kinds) > 1:
            raise ModelError("train.parallel: fsdp2 takes weights of one precision: set train.parallel to ddp")
        self.wrapped = Wrapped(policy.model, ranks, list(modes.tower(policy.model).parameters()))

    def weights(self) -> list[tuple[str, torch.nn.Parameter]]:
        """Views of this rank's rows: to move them moves the model."""
        named = dict(self.policy.model.named_parameters())
        return [(name, torch.nn.Parameter(_local(named[name].detach()))) for name in self.names]

    def add_gradients(self, weights: Mapping[str, torch.nn.Parameter]) -> None:
        """They are summed already, batch by batch; here they go where the optimizer looks for them."""
        named = dict(self.policy.model.named_parameters())
        for name, weight in weights.items():
            gradient = named[name].grad
            weight.grad = None if gradient is None else _local(gradient)
            named[name].grad = None

    def norm(self, norms: Sequence[float]) -> float:
        return math.sqrt(sum(norm * norm for norm in norms))

    def whole(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        named = dict(self.policy.model.named_parameters())
        return _gather_all(tensors, {name: named[name.partition("/")[2]].shape for name in tensors}, self.ranks)

    def own(self, tensor: torch.Tensor) -> torch.Tensor:
        return own_rows(tensor, self.ranks.rank, self.ranks.size)

    def finish(self, policy: VLM) -> VLM | None:
        model = self.wrapped.whole()
        return None if model is None else replace(policy, model=model)


class FrozenShards(Replicas):
    """Adapters as replicas, and of each weight below them C rows on every rank: what does not learn has no gradient,
    so that all but putting layers together is as with replicas."""

    in_step = True

    def __init__(self, policy: VLM, ranks: Ranks) -> None:
        super().__init__(policy, ranks)
        learned = [weight for _, weight in modes.learning(policy)]
        self.wrapped = Wrapped(policy.model, ranks, [*modes.tower(policy.model).parameters(), *learned])

    def finish(self, policy: VLM) -> VLM | None:
        model = self.wrapped.whole()
        return None if model is None else replace(policy, model=model)


class Wrapped:
    """A model whose weights, but for those in `kept`, are cut into rows: each decoder layer a unit of its own, the rest
    another. Gradients are sums, made in float32."""

    def __init__(self, model: Any, ranks: Ranks, kept: Sequence[torch.nn.Parameter]) -> None:
        self.model, self.ranks = model, ranks
        self.kept = {id(weight) for weight in kept}
        self.shape = _shape(model, self.kept)
        _wrap(model, ranks, set(kept))

    def whole(self) -> Any:
        """The model as one process would have it, on the first rank and its CPU; None on the others."""
        parts = [(name, weight) for name, weight in self.model.named_parameters() if id(weight) not in self.kept]
        shapes = {name: weight.shape for name, weight in parts}
        found = _gather_all({name: _local(weight.detach()) for name, weight in parts}, shapes, self.ranks)
        if not self.ranks.leads:
            return None
        _put(self.shape, found)
        return self.shape.to("cpu")


def choose(policy: VLM, kind: str, ranks: Ranks) -> Parallel:
    """The way that the recipe names; a process alone has no use for shards."""
    if kind == "ddp" or ranks.size == 1:
        return Replicas(policy, ranks)
    return FrozenShards(policy, ranks) if modes.has_adapters(policy) else Shards(policy, ranks)


def _buckets(weights: Sequence[torch.nn.Parameter]) -> Iterator[list[torch.nn.Parameter]]:
    bucket: list[torch.nn.Parameter] = []
    for weight in weights:
        if bucket and sum(other.numel() for other in bucket) + weight.numel() > BUCKET:
            yield bucket
            bucket = []
        bucket.append(weight)
    if bucket:
        yield bucket


def _add(bucket: Sequence[torch.nn.Parameter]) -> None:
    """Sum the gradients of these weights over all ranks."""
    gradients = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in bucket]
    flat = torch.cat([gradient.float().flatten() for gradient in gradients])
    dist.all_reduce(flat)
    for weight, piece in zip(bucket, flat.split([weight.numel() for weight in bucket]), strict=True):
        weight.grad = piece.view_as(weight).to(weight.dtype)


def _wrap(model: Any, ranks: Ranks, kept: set[torch.nn.Parameter]) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    mesh = init_device_mesh(model.device.type, (ranks.size,))
    precision = MixedPrecisionPolicy(reduce_dtype=torch.float32)
    for unit in (*modes.tongue(model).layers, model):
        fully_shard(unit, mesh=mesh, mp_policy=precision, ignored_params=kept)
        unit.set_gradient_divide_factor(1.0)
        unit.set_force_sum_reduction_for_comms(True)
    if hasattr(model, "set_reduce_scatter_unused_params"):  # from torch 2.13 on; all ranks use the same weights anyway
        model.set_reduce_scatter_unused_params(True)


def _shape(model: Any, kept: set[int]) -> Any:
    """The same model with the weights `kept`, and without memory for the others: it takes them in when they are
    trained."""
    known = {
        id(weight): weight
        if id(weight) in kept
        else torch.nn.Parameter(weight.detach().to("meta"), weight.requires_grad)
        for weight in model.parameters()
    }
    return copy.deepcopy(model, known)


def _put(shape: Any, tensors: Mapping[str, torch.Tensor]) -> None:
    """Weights by name into the places that wait for them; tied ones stay one."""
    waiting = {
        id(weight): torch.nn.Parameter(tensors[name]) for name, weight in shape.named_parameters() if name in tensors
    }
    for module in shape.modules():
        for name, weight in module._parameters.items():
            module._parameters[name] = waiting.get(id(weight), weight)


def _local(tensor: Any) -> torch.Tensor:
    return tensor.to_local()


def own_rows(tensor: torch.Tensor, rank: int, size: int) -> torch.Tensor:
    """The rows of a whole tensor that `rank` of `size` holds: C each, the last ones fewer or none."""
    most = -(-len(tensor) // size)
    return tensor[rank * most : (rank + 1) * most]


def _gather_all(
    tensors: Mapping[str, torch.Tensor], shapes: Mapping[str, Sequence[int]], ranks: Ranks
) -> dict[str, torch.Tensor]:
    """The whole of tensors of which each rank has its rows, one by one to the first rank's ordinary memory."""
    found: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        gathered = _gather(tensor, shapes[name], ranks)
        if ranks.leads:
            found[name] = gathered.cpu()
    return found


def _gather(tensor: torch.Tensor, shape: Sequence[int], ranks: Ranks) -> torch.Tensor:
    """The whole of a tensor of which each rank has up to C rows."""
    most = -(-shape[0] // ranks.size)
    own = tensor.new_zeros(most, *shape[1:])
    own[: len(tensor)] = tensor
    parts = [torch.empty_like(own) for _ in range(ranks.size)]
    dist.all_gather(parts, own)
    return torch.cat(parts)[: shape[0]]
