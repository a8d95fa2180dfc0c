"""One model measured outside a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sena.engines.local import LocalEngine
from sena.evals.base import run_benchmark
from sena.models.load import load
from sena.progress import Reporter
from sena.recipes import names


def evaluate(
    model: str,
    bench: Sequence[str] = ("mini",),
    count: int = 500,
    pool: str = "evaluation",
    reporter: Reporter | None = None,
) -> dict[str, dict[str, Any]]:
    """Metrics of each benchmark: name -> metric -> value, low, high, n."""
    benchmarks = [names.benchmark(name) for name in bench]
    engine = LocalEngine(load(names.model_or_run(model)))
    reporter = reporter or Reporter()
    found = {}
    for benchmark in benchmarks:
        items = benchmark.items(pool, count)
        with reporter.stage(benchmark.name, len(items)) as task:
            found[benchmark.name] = benchmark.summarise(run_benchmark(benchmark, engine, items, on_done=task.advance))
    return found
