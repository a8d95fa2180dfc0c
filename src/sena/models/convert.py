"""From the layout in which LLaVA-1.5 was published to the Hugging Face layout: `sena convert`.

The published folders hold a Llama and a projector, mostly as pickles, and leave the vision tower to another
repository. One file is read at a time, so memory stays at about one file. The names are those of transformers' own
conversion script, and so is what is done to the vocabulary.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sena import files
from sena.errors import ModelError, SenaError
from sena.models import original, shards, template

RENAMED = (
    ("model.mm_projector.0.", "multi_modal_projector.linear_1."),
    ("model.mm_projector.2.", "multi_modal_projector.linear_2."),
    ("model.vision_tower.vision_tower.", "vision_tower."),
    ("vision_model.", "vision_tower.vision_model."),  # a tower in a folder of its own
    ("lm_head.", "language_model.lm_head."),
    ("model.", "language_model.model."),
)
TODAY = (
    ("model.language_model.", "language_model.model."),
    ("model.vision_tower.", "vision_tower.vision_model."),
    ("model.multi_modal_projector.", "multi_modal_projector."),
    ("lm_head.", "language_model.lm_head."),
)
"""From a loaded model's names to those of the files, which every version of transformers reads."""
DROPPED = ("rotary_emb.inv_freq", "image_newline", "position_ids")
EMBEDDING, HEAD = "language_model.model.embed_tokens.weight", "language_model.lm_head.weight"
FILES = ["*.json", "*.safetensors", "*.bin", "tokenizer.model"]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Source:
    """What is converted: its folder, its config.json, and the tower's folder or hub name."""

    folder: Path
    raw: dict[str, Any]
    tower: str


def convert(model: str, out: str | Path | None = None, tower: str | None = None, say: Say = lambda text: None) -> Path:
    """Write `model`, a folder or hub name in LLaVA's original layout, in Hugging Face layout. Returns the folder.

    `out` is a new folder, else one in the user's cache. `tower` is the vision tower's folder or hub name, where it is
    not the one that config.json names. Raises ModelError for another layout, adapters alone, a missing tower, missing
    weights, and a file that holds more than weights.
    """
    folder = _folder(model, f"{model} is neither a folder nor to be had from the hub: check the name")
    if any((folder / name).is_file() for name in ("adapter_config.json", "non_lora_trainables.bin")):
        raise ModelError(
            f"{model} holds LoRA adapters alone: merge them first (scripts/merge_lora_weights.py of LLaVA)"
        )
    if not (folder / "config.json").is_file():
        raise ModelError(f"{model} holds no model (no config.json there): give a model's folder or its hub name")
    raw = files.read_json(folder / "config.json")
    original.refuse_others(model, raw)
    target = Path(out).expanduser() if out is not None else cache_folder(folder)
    if out is not None and (target.is_file() or (target.is_dir() and any(target.iterdir()))):
        raise SenaError(f"{target} holds other files: choose an empty or new folder for --out")
    source = _Source(folder, raw, tower or raw["mm_vision_tower"])
    try:
        files.make_folder(target, lambda place: _fill(place, source, say))
    finally:
        files.remove_tree(target.with_name(f".{target.name}.tmp"))
    return target


def cache_folder(source: Path) -> Path:
    """Where a conversion goes when the user names no folder: told by the source's name and place."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    mark = hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:8]
    return cache / "sena" / "converted" / f"{source.resolve().name}-{mark}"


def _fill(place: Path, source: _Source, say: Say) -> None:
    """All files of the new folder, config.json last."""
    from transformers import GenerationConfig

    tokenizer = original.make_tokenizer(source.folder)
    has_tower = any("vision_tower" in name for name in shards.names(source.folder, place))
    tower = _tower(source, has_tower)
    image, pad = tokenizer.convert_tokens_to_ids([original.IMAGE, original.PAD])
    rows = -(-max(source.raw["vocab_size"], len(tokenizer)) // original.ROWS) * original.ROWS
    config = original.make_config(source.raw, original.tower_settings(source.tower, tower), rows, image, pad)
    parts = shards.find(source.folder)
    apart = [] if has_tower or tower is None else shards.find(tower)
    writer = shards.Writer(place, shapes(config), len(parts) + len(apart))
    _write_language(writer, parts, rows, say)
    for file in apart:
        say(f"  {file}")
        seen = shards.read(file, place)
        writer.write(_renamed({name: seen[name] for name in seen if name.startswith("vision_model.")}))
    writer.close()
    processor = original.make_processor(tower, config, tokenizer)
    template.settle(processor, template.choose("llava", processor))
    processor.save_pretrained(place)
    GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=pad).save_pretrained(place)
    config.save_pretrained(place)


def _write_language(writer: shards.Writer, parts: list[Path], rows: int, say: Say) -> None:
    """Llama, projector, and the tower where it is inside; vocabulary grown, a missing head taken from the embedding."""
    embedding = None
    for number, file in enumerate(parts, start=1):
        say(f"  {file}")
        tensors = _renamed(shards.read(file, writer.folder))
        tensors |= {name: grow(tensors[name], rows) for name in (EMBEDDING, HEAD) if name in tensors}
        embedding = tensors.get(EMBEDDING, embedding)
        if number == len(parts) and HEAD not in (*writer.where, *tensors) and embedding is not None:
            tensors[HEAD] = embedding.clone()
        writer.write(tensors)


def grow(weight: torch.Tensor, rows: int) -> torch.Tensor:
    """[V, C] with rows added up to `rows`, each the mean of the old ones: no new token is likelier than an average one.

    Transformers' script draws them around that mean, which gives another model each time.
    """
    more = rows - weight.shape[0]
    if more <= 0:
        return weight
    return torch.cat([weight, weight.float().mean(0).to(weight.dtype).expand(more, -1)])


def shapes(config: Any) -> dict[str, tuple[int, ...]]:
    """What every weight of the model is called in the files, and its shape."""
    from transformers import LlavaForConditionalGeneration

    with torch.device("meta"):
        model = LlavaForConditionalGeneration(config)
    return {_rename(name, TODAY): tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _renamed(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {_rename(name, RENAMED): each for name, each in tensors.items() if not name.endswith(DROPPED)}


def _rename(name: str, table: tuple[tuple[str, str], ...]) -> str:
    return next((new + name.removeprefix(old) for old, new in table if name.startswith(old)), name)


def _tower(source: _Source, has_tower: bool) -> Path | None:
    """The tower's folder; None where the checkpoint holds the tower itself and no folder of it is at hand."""
    beside = source.folder / source.tower
    name = str(beside) if beside.is_dir() else source.tower
    if has_tower and not Path(name).expanduser().is_dir():
        return None
    missing = f"{source.folder} leaves its vision tower to {source.tower}, which is missing: give its folder (--tower)"
    return _folder(name, missing)


def _folder(name: str, missing: str) -> Path:
    """A folder as it is; of a hub name the snapshot's folder. Raises ModelError with the sentence `missing`."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    try:
        return Path(snapshot_download(name, allow_patterns=FILES))
    except (OSError, ValueError, HFValidationError) as error:
        raise ModelError(missing) from error
