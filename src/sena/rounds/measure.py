"""One model measured outside a run, perhaps beside another one."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console

from sena import copies, files
from sena.engines.local import LocalEngine
from sena.errors import SenaError
from sena.evals.base import Benchmark, run_benchmark
from sena.evals.judge import Judge, judged
from sena.evals.kept import answered
from sena.evals.suite import Suite
from sena.models.load import load
from sena.progress import Reporter
from sena.recipes import names
from sena.runs.folder import RunFolder


@dataclass(frozen=True, slots=True)
class Asking:
    """How models are asked: what, how much of it, by whom it is judged, and who hears of it."""

    benchmarks: Sequence[Benchmark]
    limit: int | None
    judge: Judge | None
    reporter: Reporter


def evaluate(
    model: str,
    bench: Sequence[str] = ("mini",),
    *,
    data: str | Path = "",
    limit: int | None = None,
    out: str | Path | None = None,
    against: str | None = None,
    judge: Judge | None = None,
) -> dict[str, dict[str, Any]]:
    """What each benchmark says: name -> `metrics` (metric -> value, low, high, n), `notes` and, with `against`,
    `to_other`: this model minus that one, paired by picture.

    `data` holds the benchmarks' files, `limit` is the number of pictures. Raw answers and results are kept in `out`,
    or beside the model of a run folder, and the same call goes on with them. Raises SenaError for what is missing.
    """
    benchmarks = [names.benchmark(name, data) for name in bench]
    place = Path(out) if out is not None else _beside(model, limit)
    _demand(benchmarks, judge, place)
    asking = Asking(benchmarks, limit, judge, Reporter(Console(file=sys.stderr, highlight=False)))
    if place is None:
        asking.reporter.say("The answers are not kept: give --out DIR to keep them and to go on after a stop")
    records = _ask(model, asking, place)
    others = _ask(against, asking, place and place / "against") if against else {}
    found = {each.name: _figures(each, records[each.name], others.get(each.name), asking) for each in benchmarks}
    if place is not None:
        found = {each.name: {**found[each.name], **_submit(each, records[each.name], place)} for each in benchmarks}
        files.write_json(place / "results.json", {"model": model, "against": against, "benchmarks": found})
    return found


def _beside(model: str, limit: int | None) -> Path | None:
    """The folder next to a run's last model; None for a model that is in no run."""
    if not copies.fetch(RunFolder(Path(model).expanduser()).manifest).is_file():
        return None
    return Path(names.model_or_run(model)).parent / ("measured" if limit is None else f"measured-{limit}")


def _demand(benchmarks: Sequence[Benchmark], judge: Judge | None, place: Path | None) -> None:
    """What can be told before the model is loaded."""
    for each in benchmarks:
        if isinstance(each, Suite) and each.judge_prompt and judge is None:
            raise SenaError(f"The benchmark {each.name} needs a judge: give --judge URL and --judge-model NAME")
        if isinstance(each, Suite) and each.submission and place is None:
            raise SenaError(f"The truth of {each.name} is hidden: give --out DIR, where the submission file is put")


def _ask(model: str, asking: Asking, place: Path | None) -> dict[str, list[Any]]:
    """Records by benchmark. The model is loaded only if something is still to be asked."""
    name = names.model_or_run(model)

    @cache
    def engine() -> LocalEngine:
        return LocalEngine(load(name))

    found: dict[str, list[Any]] = {}
    for benchmark in asking.benchmarks:
        items = benchmark.items("evaluation", asking.limit)
        with asking.reporter.stage(benchmark.name, len(items)) as task:
            if place is None:
                records = run_benchmark(benchmark, engine(), items, on_done=task.advance)
            else:
                _claim(place, name, benchmark, items)
                records = answered(benchmark, engine, items, place / f"{benchmark.name}.jsonl", task.advance)
        found[benchmark.name] = _judged(benchmark, records, asking, place)
    return found


def _judged(benchmark: Benchmark, records: list[Any], asking: Asking, place: Path | None) -> list[Any]:
    if not isinstance(benchmark, Suite) or benchmark.judge_prompt is None or asking.judge is None:
        return records
    kept = place / f"{benchmark.name}.judge.jsonl" if place else None
    answers = sum(len(record.answers) for record in records)
    with asking.reporter.stage(f"{benchmark.name}, judged", answers) as task:
        return judged(records, benchmark.judge_prompt, asking.judge, kept, task.advance)


def _claim(place: Path, model: str, benchmark: Benchmark, items: Sequence[Any]) -> None:
    """Say in `evaluation.json` whose answers to which questions lie here. Raises SenaError when they are others."""
    path = place / "evaluation.json"
    made = files.read_json(path) if path.is_file() else {"benchmarks": {}}
    mine = {"model": model, "weights": _weights(model)}
    if any(made.get(key, value) != value for key, value in mine.items()):
        raise SenaError(f"{place} holds answers of {made['model']} as it was then: choose another --out")
    requests = [[r.id, r.prompt, r.image, r.max_new_tokens] for item in items for r in benchmark.ask(item)]
    asked = hashlib.sha256(json.dumps(requests).encode()).hexdigest()[:16]
    if made["benchmarks"].setdefault(benchmark.name, asked) != asked:
        raise SenaError(
            f"{place} holds answers to other questions of {benchmark.name} (another --limit, or other files): choose "
            f"another --out"
        )
    files.write_json(path, {**made, **mine})


def _weights(model: str) -> str:
    """Names, sizes and times of a local model's weights, so that one trained anew is told from the old; else empty."""
    found = sorted(Path(model).glob("*.safetensors")) if Path(model).is_dir() else []
    told = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in found]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16] if told else ""


def _figures(benchmark: Benchmark, records: list[Any], others: list[Any] | None, asking: Asking) -> dict[str, Any]:
    figures: dict[str, Any] = {"metrics": benchmark.summarise(records), "notes": {}}
    if others is not None:
        figures["to_other"] = benchmark.compare(others, records)
    if isinstance(benchmark, Suite):
        asked = f"{len(records)} of {len(benchmark.everything)} {benchmark.about.unit}"
        figures["notes"] = {**benchmark.notes, "asked about": asked}
        if benchmark.judge_prompt and asking.judge:
            figures["notes"]["judge"] = f"{asking.judge.model} at {asking.judge.url}"
    return figures


def _submit(benchmark: Benchmark, records: list[Any], place: Path) -> dict[str, str]:
    """The submission file, where the truth is hidden."""
    if not isinstance(benchmark, Suite) or benchmark.submission is None:
        return {}
    name, content = benchmark.submission([answer for record in records for answer in record.answers])
    files.write_bytes(place / name, content)
    return {"submission": str(place / name)}
