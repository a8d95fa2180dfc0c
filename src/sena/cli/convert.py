"""The verb for models that come in another layout: convert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def convert(
    model: Annotated[str, typer.Argument(help="A folder or hub name in the layout of liuhaotian/llava-v1.5-7b.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="A new folder; else one in the cache.")
    ] = None,
    tower: Annotated[str | None, typer.Option("--tower", help="Where the vision tower is, if it moved.")] = None,
) -> None:
    """Write an original LLaVA-1.5 in Hugging Face layout, safetensors only."""
    import sena

    print(f"Converting {model}", flush=True)
    folder = sena.convert(model, out, tower, say=lambda text: print(text, flush=True))
    print(f'The model is in {folder}. Try it: sena ask {folder} photo.jpg "What is this?"')
