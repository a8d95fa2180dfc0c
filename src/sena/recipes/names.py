"""The one table from names to objects. Below this floor, callers pass objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sena.errors import RecipeError
from sena.images.config import ImagesConfig, SourceConfig
from sena.images.sources import Source

if TYPE_CHECKING:
    from sena.evals.base import Benchmark


def sources(config: ImagesConfig) -> list[Source]:
    """The sources of a recipe, opened. Raises SenaError for a folder or file that cannot be used."""
    return [source for each in config.sources for source in _open(each, config)]


def _open(config: SourceConfig, images: ImagesConfig) -> list[Source]:
    from sena.images.llava665k import llava665k_sources
    from sena.images.sources import FolderSource

    if config.kind == "mini":
        from sena.mini.source import MiniSource

        return [MiniSource(name=config.name)]
    if config.kind == "llava665k":
        return list(llava665k_sources(config.name, config.path, config.root, images.limits.max_bytes))
    if config.kind == "parquet":
        from sena.images.parquet import ParquetSource

        return [ParquetSource(config.name, config.path, images.limits.max_bytes)]
    return [FolderSource(config.name, config.path, images.limits.max_bytes)]


def benchmark(name: str) -> Benchmark:
    """A benchmark by name. Raises RecipeError that lists the known ones."""
    if name == "mini":
        from sena.mini.bench import MiniBench

        return MiniBench()
    raise RecipeError(f"There is no benchmark {name!r}: known is mini")


def model_folder(name: str) -> str:
    """`mini` is the shipped miniature; every other name stays as it is."""
    if name == "mini":
        from sena.mini import mini_folder

        return str(mini_folder())
    return name
