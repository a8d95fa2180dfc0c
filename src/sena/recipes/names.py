"""The one table from names to objects. Below this floor, callers pass objects."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from sena.errors import RecipeError
from sena.images.config import ImagesConfig, SourceConfig
from sena.images.sources import Source

if TYPE_CHECKING:
    from sena.align.config import DpoConfig
    from sena.align.losses import Loss
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


def loss(config: DpoConfig) -> Loss:
    """The preference loss of a recipe with its parameters."""
    from sena.align import losses

    beta, log_two = config.beta, math.log(2)
    table = {
        "sigmoid": losses.Loss(partial(losses.dpo, beta=beta), log_two),
        "smooth": losses.Loss(partial(losses.smooth, beta=beta, smoothing=config.smoothing), log_two),
        "ipo": losses.Loss(partial(losses.ipo, beta=beta), 1 / (4 * beta**2)),
        "simpo": losses.Loss(partial(losses.simpo, beta=beta, gamma=config.gamma), None),
        "orpo": losses.Loss(partial(losses.orpo, beta=beta), None),
    }
    found = table[config.loss]
    if config.per_token and found.at_reference is not None:  # the others count by token anyway
        return losses.Loss(lambda scores: found.of(losses.per_token(scores)), found.at_reference)
    return found


def model_folder(name: str) -> str:
    """`mini` is the shipped miniature; every other name stays as it is."""
    if name == "mini":
        from sena.mini import mini_folder

        return str(mini_folder())
    return name
