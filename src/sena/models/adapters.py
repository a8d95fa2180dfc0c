"""LoRA adapters in PEFT's layout: kept beside a round's model, and loaded as what they make of their base."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sena import files
from sena.errors import ModelError

if TYPE_CHECKING:
    import torch

    from sena.models.vlm import VLM

SETTINGS, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


class Adapter(NamedTuple):
    """What was learned beside a base: PEFT's settings, and the weights by PEFT's names, on the CPU."""

    settings: Any
    weights: dict[str, torch.Tensor]


def take(model: Any) -> Adapter:
    """The adapter of a model that PEFT wrapped."""
    import peft

    weights = peft.get_peft_model_state_dict(model)
    return Adapter(model.peft_config["default"], {name: each.detach().cpu().clone() for name, each in weights.items()})


def save(adapter: Adapter, folder: Path, base: str) -> None:
    """Write PEFT's two files. `base` is the model that the adapter belongs to, told as seen from `folder`, or its hub
    name."""
    from safetensors.torch import save_file

    save_file({name: each.contiguous() for name, each in adapter.weights.items()}, folder / WEIGHTS)
    adapter.settings.base_model_name_or_path, adapter.settings.inference_mode = base, True
    adapter.settings.save_pretrained(folder)
    said = files.read_json(folder / SETTINGS)  # PEFT writes sets in any order
    files.write_json(folder / SETTINGS, {**said, "target_modules": sorted(said["target_modules"])})


@contextmanager
def quiet() -> Iterator[None]:
    """PEFT at work without what it and bitsandbytes tell their own developers."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def is_adapter(name: str | Path) -> bool:
    """Whether a folder holds an adapter and no model."""
    folder = Path(name).expanduser()
    return (folder / SETTINGS).is_file() and not (folder / "config.json").is_file()


def from_base(name: str, use: Callable[[str], Any]) -> Any:
    """`use(base)` of an adapter folder; what is wrong with the base is told as the adapter's fault."""
    base = base_of(name)
    try:
        return use(base)
    except ModelError as error:
        raise ModelError(f"{name} is an adapter whose base cannot be loaded: {error}") from error


def base_of(name: str | Path) -> str:
    """What an adapter's settings name as its base, as seen from its folder. Raises ModelError when that is gone."""
    folder = Path(name).expanduser()
    base = files.read_json(folder / SETTINGS).get("base_model_name_or_path") or ""
    beside = (folder / base).resolve()
    if base and beside.is_dir() and beside != folder.resolve():
        return str(beside)
    is_hub_name = base.count("/") == 1 and not base.startswith((".", "/", "~"))
    if is_hub_name or (base.strip(".") and Path(base).expanduser().is_dir()):
        return base
    raise ModelError(
        f"{folder} is an adapter whose base is gone ({base or 'none is named'}): put it back, or write its place as "
        f"base_model_name_or_path in {folder / SETTINGS}"
    )


def merge(vlm: VLM, folder: Path) -> VLM:
    """The base in `vlm` with the adapter in `folder` added to its weights, which are changed.

    Raises ModelError when the adapter does not fit the model, and when its weights are no safetensors.
    """
    model = unmerged(vlm.model, folder).merge_and_unload()
    return replace(vlm, model=model.requires_grad_(False).eval(), name=str(folder))


def unmerged(model: Any, folder: Path) -> Any:
    """The base with the adapter beside its weights. Raises ModelError as `merge` does."""
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"{folder} has no {WEIGHTS}, and sena reads no other weights: save the adapter anew with PEFT")
    try:
        with quiet():
            import peft

            return peft.PeftModel.from_pretrained(model, folder).eval()
    except (ValueError, RuntimeError, TypeError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{folder} does not fit its base {base_of(folder)}: {reason}") from error
