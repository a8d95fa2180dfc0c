"""A GPU played by the CPU, for machines without one: what says that it is on cuda:0, and refuses to meet what is not.

    python -m tests.gpu.pretend evolve demo --out runs/x     sena itself, on such a GPU

Numbers are the CPU's. What a real one would refuse is refused here as well: a CPU tensor among its own (scalars and the
few operations that may mix apart), `numpy()` without `cpu()`, a CPU generator. That code runs here says nothing of
kernels, precision, speed or memory. It holds in the thread that entered it alone, and in a backward pass it takes all
that is made from nothing for its own: what is computed anew there was seen in the forward pass.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
import torch._dynamo
import torch._inductor  # both ask what a GPU can do when they are imported, which this one cannot answer
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

aten = torch.ops.aten
DEVICE = torch.device("cuda", 0)
NAME = "Pretended GPU"
MAY_MIX = (
    *(aten.copy_.default, aten._to_copy.default, aten.index.Tensor),
    *(aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default),
)


class OnGpu(torch.Tensor):
    """`held` is a CPU tensor. C++ takes this for one as well; all of Python sees `DEVICE`."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls: type[OnGpu], held: torch.Tensor) -> OnGpu:
        layout = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        made = torch.Tensor._make_wrapper_subclass(  # pyright: ignore
            cls, held.size(), **layout, device="cpu", requires_grad=held.requires_grad
        )
        made.held = held
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]  # pyright: ignore
        return DEVICE

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]  # pyright: ignore
        return True

    @property
    def is_cpu(self) -> bool:  # type: ignore[override]  # pyright: ignore
        return False

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"OnGpu({self.held!r})"

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return compute(func, args, dict(kwargs or {}))


class Generator(torch.Generator):
    """A generator that knows which device it was made for."""

    on_gpu: bool

    def __new__(cls, device: Any = "cpu") -> Generator:
        made = super().__new__(cls)
        made.on_gpu = is_gpu(device)
        return made

    def __init__(self, device: Any = "cpu") -> None:
        pass


def is_gpu(device: Any) -> bool:
    return device is not None and torch.device(device).type == "cuda"


def is_backward() -> bool:
    """Inside a backward pass, whose C++ makes tensors like its inputs and names the device that it takes them to be."""
    return torch._C._current_graph_task_id() != -1


def compute(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An operation on what is held, its result where a GPU would have it. Raises RuntimeError for what may not meet."""
    tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
    here = [each for each in tensors if isinstance(each, OnGpu)]
    others = [each for each in tensors if not isinstance(each, OnGpu) and each.dim() and each.device.type == "cpu"]
    if here and others and func not in MAY_MIX:
        raise RuntimeError(f"Expected all tensors to be on the same device: {func} got cuda:0 and cpu")
    if func is aten.index.Tensor and not isinstance(args[0], OnGpu):
        raise RuntimeError("indices should be on the same device as the indexed tensor (cpu)")
    held_args, held = tree_map_only(OnGpu, lambda each: each.held, (args, kwargs))
    asked = kwargs.get("device")
    stays = is_backward() or (is_gpu(asked) if asked is not None else bool(here))
    if func is aten.copy_.default:
        stays = isinstance(args[0], OnGpu)
    if is_gpu(asked):
        held["device"] = torch.device("cpu")
    held.pop("pin_memory", None)
    out = func(*held_args, **held)
    if not stays:
        return args[0] if func is aten.copy_.default else out
    out = tree_map_only(torch.Tensor, lambda each: each if isinstance(each, OnGpu) else OnGpu(each), out)
    is_new = not here or func is aten._to_copy.default
    return out if is_new else return_and_correct_aliasing(func, args, kwargs, out)


def move(tensor: torch.Tensor, device: Any, dtype: torch.dtype | None = None, copy: bool = False) -> torch.Tensor:
    """As `Tensor.to`, whose C++ would ask the driver."""
    target = torch.device(device) if device is not None else tensor.device
    same = is_gpu(target) == isinstance(tensor, OnGpu) and target.type != "meta"
    if same and dtype in (None, tensor.dtype) and not copy:
        return tensor
    return aten._to_copy.default(tensor, dtype=dtype or tensor.dtype, device=target)


def to(tensor: torch.Tensor, *given: Any, device: Any = None, dtype: Any = None, copy: bool = False, **_: Any) -> Any:
    for each in given:
        if isinstance(each, torch.dtype):
            dtype = each
        elif isinstance(each, torch.Tensor):
            device, dtype = each.device, each.dtype
        elif isinstance(each, (str, torch.device)):
            device = each
    return move(tensor, device, dtype, copy)


class Operations(TorchDispatchMode):
    """What is made on the GPU from nothing has no tensor among its arguments that could tell."""

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        tensors = [each for each in tree_leaves((args, given)) if isinstance(each, torch.Tensor)]
        is_ours = any(isinstance(each, OnGpu) for each in tensors) or (is_backward() and not tensors)
        return compute(func, args, given) if is_ours or is_gpu(given.get("device")) else func(*args, **given)


class Functions(TorchFunctionMode):
    """What torch does before any operation: moves, conversions, generators."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        first = args[0] if args else None
        draw = given.get("generator")
        if draw is not None and draw.on_gpu != (is_gpu(given.get("device")) or isinstance(first, OnGpu)):
            raise RuntimeError("Expected a generator of the device that the numbers are drawn on")
        if func in (torch.tensor, torch.as_tensor, torch.asarray) and is_gpu(given.get("device")):
            plain = tree_map_only(OnGpu, lambda each: each.held, args)
            return move(func(*plain, **{**given, "device": None}), DEVICE)
        if func is torch.Tensor.to:
            return to(*args, **given)
        if func in (torch.Tensor.cpu, torch.Tensor.cuda):
            return move(args[0], "cpu" if func is torch.Tensor.cpu else DEVICE)
        if isinstance(first, OnGpu):
            if func in (torch.Tensor.numpy, torch.Tensor.__array__):
                raise TypeError("can't convert cuda:0 device type tensor to numpy: use Tensor.cpu() first")
            if func in (torch.Tensor.tolist, torch.Tensor.data_ptr, torch.Tensor.untyped_storage):
                return func(first.held)
        return func(*args, **given)


def _driver() -> dict[str, Callable[..., Any]]:
    """What `torch.cuda` says of the one GPU."""
    properties = SimpleNamespace(total_memory=80 * 2**30, major=9, minor=0, name=NAME, multi_processor_count=132)
    said: dict[str, Any] = {
        **{"is_available": True, "is_initialized": True, "is_bf16_supported": True, "device_count": 1},
        **{"is_current_stream_capturing": False, "current_device": 0},
        **{"get_device_name": NAME, "get_device_capability": (9, 0)},
        **{"get_device_properties": properties, "mem_get_info": (70 * 2**30, 80 * 2**30)},
        **dict.fromkeys(["memory_allocated", "memory_reserved", "max_memory_allocated"], 2**30),
        **dict.fromkeys(["_lazy_init", "synchronize", "empty_cache", "set_device", "reset_peak_memory_stats"]),
        **dict.fromkeys(["manual_seed", "manual_seed_all", "set_rng_state"]),
    }
    found: dict[str, Callable[..., Any]] = {name: lambda *_, _said=value, **__: _said for name, value in said.items()}
    return found | {"get_rng_state": lambda *_: torch.get_rng_state()}


@contextmanager
def pretended() -> Iterator[None]:
    """A machine with one GPU. Libraries remember what they were told, so give it a process of its own."""
    with ExitStack() as stack:
        for name, answer in _driver().items():
            stack.enter_context(mock.patch.object(torch.cuda, name, answer))
        stack.enter_context(mock.patch.object(torch, "Generator", Generator))
        torch.__future__.set_overwrite_module_params_on_conversion(True)  # data of another kind is no data of a weight
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, False)
        stack.enter_context(Operations())
        stack.enter_context(Functions())
        yield


def prepare() -> None:
    """Before sena is imported: no threads that load weights, no inference mode, which knows no tensors of this kind."""
    import bitsandbytes  # noqa: F401
    import peft  # noqa: F401

    os.environ["HF_DEACTIVATE_ASYNC_LOAD"] = "1"
    torch.inference_mode = lambda mode=True: torch.no_grad()  # type: ignore
    torch.set_num_threads(1)


if __name__ == "__main__":
    prepare()
    from sena.cli.main import run_program

    with pretended():
        code = run_program(sys.argv[1:], debug=True)
    sys.exit(code)
