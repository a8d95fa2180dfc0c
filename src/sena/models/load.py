"""Loading and saving: any Hugging Face vision-language model, safetensors only, no code of others run."""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from sena.errors import ModelError
from sena.models import adapters, families, original, unknown
from sena.models import quantize as quantizing
from sena.models import template as templates
from sena.models.bound import bound
from sena.models.config import ModelConfig
from sena.models.quantize import Quantize
from sena.models.vlm import VLM

_PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load(name: str, dtype: str = "auto", device: str = "auto", quantize: Quantize = "none") -> VLM:
    """A model by hub name or folder, in evaluation mode. Of an adapter folder: its base with the adapter merged.

    Raises ModelError with the mend when there is none, when it reads no pictures, when it has no safetensors, or when
    it is of no known family and a trial fails.
    """
    from transformers import AutoModelForImageTextToText

    if adapters.is_adapter(name):
        if quantize != "none":
            raise ModelError(f"{name} is an adapter, which is added to whole weights: set model.quantize to none")
        vlm = adapters.from_base(name, lambda base: load(base, dtype, device))
        return adapters.merge(vlm, Path(name).expanduser())
    place, config = resolve_device(device), load_config(name)
    precision = resolve_dtype(dtype, place)
    options: dict[str, Any] = {"device_map": "auto"} if device == "split" else {}
    if quantize != "none":
        options = {**quantizing.options(config, quantize, precision, place), **options}
    model = _guard(
        name,
        AutoModelForImageTextToText.from_pretrained,
        name,
        dtype=precision,
        use_safetensors=True,
        trust_remote_code=False,
        **options,
    )
    processor = _processor(name)
    template = templates.choose(families.kind(config), processor)
    templates.settle(processor, template)
    quantizing.settle(model)
    vlm = VLM((model if options else model.to(place)).eval(), processor, template, name)
    unknown.demand_right(vlm)
    return vlm


def load_under(settings: ModelConfig, name: str) -> VLM:
    """The model `name` with precision, device, quantisation and bound on pictures as a recipe has them."""
    vlm = load(name, settings.dtype, settings.device, settings.quantize)
    bound(vlm, settings.picture_tokens)
    return vlm


def load_without_weights(name: str) -> VLM:
    """What the model makes of pictures and prompts, around its configuration alone: seconds where `load` takes minutes.

    Raises ModelError as `load_config` does, and for a processor that cannot be loaded.
    """
    if adapters.is_adapter(name):
        return replace(adapters.from_base(name, load_without_weights), name=name)
    config = load_config(name)
    processor = _processor(name)
    template = templates.choose(families.kind(config), processor)
    templates.settle(processor, template)
    return VLM(SimpleNamespace(config=config), processor, template, name)


def _processor(name: str) -> Any:
    from transformers import AutoProcessor

    processor = _guard(name, AutoProcessor.from_pretrained, name, trust_remote_code=False)
    told = getattr(processor.tokenizer, "deprecation_warnings", None)
    if told is not None:  # its warning of long texts foretells errors that do not come; what is too long we tell
        told["sequence-length-is-longer-than-the-specified-maximum"] = True
    return processor


def load_config(name: str) -> Any:
    """The model's configuration alone: a cheap way to know whether there is such a model.

    Raises ModelError for a folder that holds no model, and for a model that reads no pictures.
    """
    from transformers import AutoConfig, PreTrainedConfig

    if adapters.is_adapter(name):
        return adapters.from_base(name, load_config)
    folder = Path(name).expanduser()
    looks_local = folder.exists() or name.startswith((".", "/", "~"))
    if looks_local and not (folder / "config.json").is_file():
        raise ModelError(f"{name} holds no model (no config.json there): give a model's folder or its hub name")
    if not folder.exists() and folder.parent != Path() and folder.parent.is_dir():
        raise ModelError(
            f"There is no {folder.name} in the folder {folder.parent}: give a model's folder, a run's, or a hub name"
        )
    if original.is_original(_guard(name, PreTrainedConfig.get_config_dict, name)[0]):
        raise ModelError(
            f"{name} is in LLaVA's original layout: type `sena convert {name}` and use the folder it names"
        )
    config = _guard(name, AutoConfig.from_pretrained, name, trust_remote_code=False)
    if config.model_type not in _vision_types():
        raise ModelError(
            f"{name} is a {config.model_type} model, which reads no pictures: give a vision-language model"
        )
    _demand_packages(name, families.kind(config))
    return config


def _demand_packages(name: str, model_type: str) -> None:
    family = families.find(model_type)
    missing = [each for each in family.needs if find_spec(each) is None] if family else []
    if family and missing:
        raise ModelError(
            f"{name} is of the {family.name} family, whose processor needs {' and '.join(missing)}: "
            f"pip install {' '.join(missing)} (torchvision in the build that belongs to your torch)"
        )


def save(vlm: VLM, folder: Path) -> None:
    """Model, processor and generation settings in Hugging Face layout, safetensors and JSON only.

    Raises OSError for a full disk, also where safetensors calls it by a name of its own.
    """
    from safetensors import SafetensorError

    try:
        with _quiet():
            vlm.model.save_pretrained(folder)
            vlm.processor.save_pretrained(folder)
    except SafetensorError as error:
        full = "os error 28" in str(error)
        raise OSError(errno.ENOSPC if full else errno.EIO, str(error)) from error


def resolve_device(device: str) -> torch.device:
    """`auto` is the first GPU when there is one; `split` begins there and goes on over all others."""
    if device == "split":
        if torch.cuda.device_count() < 2:
            seen = torch.cuda.device_count()
            raise ModelError(f"model.device: split needs several GPUs, and torch sees {seen}: set model.device to auto")
        return torch.device("cuda:0")
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError("model.device asks for a GPU, and torch sees none: set model.device to cpu or auto")
    return torch.device(device)


def resolve_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """`auto` is float32 on a CPU and bfloat16 elsewhere."""
    if dtype == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    return _PRECISIONS[dtype]


def _vision_types() -> set[str]:
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    return set(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)


def _guard(name: str, call: Any, *args: Any, **options: Any) -> Any:
    """Turn what transformers raises for a user's mistake into one sentence. Its own progress bars stay silent."""
    try:
        with _quiet():
            return call(*args, **options)
    except ModelError:
        raise
    except ImportError as error:
        raise ModelError(
            f"{name} needs a package that is not installed: {_first_line(error).split('. ')[0]}"
        ) from error
    except (OSError, ValueError, KeyError, json.JSONDecodeError) as error:
        text = _first_line(error)
        if "safetensors" in text:
            raise ModelError(
                f"{name} has no safetensors weights, and sena reads no others: convert them first"
            ) from error
        raise ModelError(f"{name} could not be loaded: {text}") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    from transformers.utils import logging

    was_shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_shown:
            logging.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
