"""A model as other programs serve it: with the template and the padding that it was trained with."""

from __future__ import annotations

from pathlib import Path

from sena.errors import SenaError
from sena.models import adapters
from sena.models import load as loading

OLD = ("chat_template", "preprocessor_config")
"""Files that the processor's own replace, also where they have other names."""


def servable(name: str, place: Path) -> str:
    """The model as it lies. Where its processor does not say what it was trained with (LLaVA-1.5 as the hub has it),
    a new folder below `place`: links to the model, and a processor that says it.

    Raises SenaError for an adapter.
    """
    from transformers import AutoProcessor

    if adapters.is_adapter(name):
        raise SenaError(f"{name} is an adapter, which no server takes by itself: type sena export RUN --to merged")
    settled = loading.load_without_weights(name).processor
    if settled.chat_template == AutoProcessor.from_pretrained(name, trust_remote_code=False).chat_template:
        return name
    source, folder = _files_of(name), place / Path(name).name
    settled.save_pretrained(folder)
    for path in source.iterdir():
        if not path.name.startswith(OLD) and not (folder / path.name).exists():
            (folder / path.name).symlink_to(path.resolve())
    return str(folder)


def _files_of(name: str) -> Path:
    """The folder of a model, which is fetched when it is on the hub alone."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]))
