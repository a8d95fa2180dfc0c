"""One model, asked or measured outside a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from sena.engines.local import LocalEngine
from sena.errors import ImageError, SenaError
from sena.evals.base import run_benchmark
from sena.images.config import LimitsConfig
from sena.images.decode import decode
from sena.models.load import load
from sena.progress import Reporter
from sena.recipes import names
from sena.records import Request
from sena.runs.folder import RunFolder


def ask(model: str, images: Sequence[str | Path], question: str, max_new_tokens: int = 256) -> list[str]:
    """The model's greedy answer to `question` about each picture. `model` may be a run folder: its last model.

    Raises SenaError naming the picture that cannot be read.
    """
    pictures = {str(path): _picture(path) for path in images}
    engine = LocalEngine(load(resolve(model)))
    requests = [Request(path, question, path, max_new_tokens) for path in pictures]
    return [reply.text for reply in engine.generate(requests, pictures.__getitem__)]


def evaluate(
    model: str,
    bench: Sequence[str] = ("mini",),
    count: int = 500,
    pool: str = "evaluation",
    reporter: Reporter | None = None,
) -> dict[str, dict[str, Any]]:
    """Metrics of each benchmark: name -> metric -> value, low, high, n."""
    benchmarks = [names.benchmark(name) for name in bench]
    engine = LocalEngine(load(resolve(model)))
    reporter = reporter or Reporter()
    found = {}
    for benchmark in benchmarks:
        items = benchmark.items(pool, count)
        with reporter.stage(benchmark.name, len(items)) as task:
            found[benchmark.name] = benchmark.summarise(run_benchmark(benchmark, engine, items, on_done=task.advance))
    return found


def resolve(model: str) -> str:
    """A model's folder or hub name: of a run folder the last round's model, of `mini` the shipped one."""
    run = RunFolder(Path(model))
    if not run.manifest.is_file():
        return names.model_folder(model)
    made = [each.model for each in run.rounds() if (each.model / "config.json").is_file()]
    if not made:
        raise SenaError(f"{model} has no finished round yet: let `sena evolve` go on, or ask its base model")
    return str(made[-1])


def _picture(path: str | Path) -> Image.Image:
    try:
        return decode(Path(path).read_bytes(), LimitsConfig())
    except ImageError as error:
        raise SenaError(f"{path} cannot be used as a picture ({error})") from error
    except OSError as error:
        raise SenaError(f"{path} cannot be read ({error.strerror}): check the path") from error
