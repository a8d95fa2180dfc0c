"""What shows that a round made the model better: benchmarks with intervals, and the difference to the base."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from sena import files
from sena.evals.base import Benchmark, run_benchmark
from sena.evals.kept import answered, read_rows
from sena.recipes import names
from sena.report.meanings import ARROWS, LEGEND, metric
from sena.report.words import interval, number, verdict
from sena.rounds import watching
from sena.rounds.job import Job

POPE = ("pope_random", "pope_popular", "pope_adversarial")
SHOWN = ("chair_i", "chair_s", "coverage", "attribute", *POPE, "vqa", "length")
COLOURS = {"better": "green", "worse": "red", "changed": "yellow"}


def judge(job: Job, number: int) -> dict[str, Any]:
    """Measure the model that round `number` left, once, and say what came of it. Returns the evidence."""
    folder = job.round(number)
    if not folder.evidence.is_file():
        found = {each.name: _measure(job, number, each) for each in names.benchmarks(job.recipe.eval)}
        made = {"round": number, "benchmarks": found, "watched": watching.watched(job, number)}
        made["alarms"] = watching.found_alarms(job, number, made) if number else []
        files.write_json(folder.evidence, made)
    evidence = files.read_json(folder.evidence)
    for name, figures in evidence["benchmarks"].items():
        job.reporter.show_table(table(f"{name}, round {number}", figures))
    if not evidence["benchmarks"] and evidence["watched"]:
        job.reporter.show_table(table(f"without labels, round {number}", evidence["watched"]))
    for text in job.alarms(number):
        job.say(f"  alarm: after round {number} {text}", "bold red")
    return evidence


def _measure(job: Job, number: int, benchmark: Benchmark) -> dict[str, Any]:
    config = job.recipe.eval
    items = benchmark.items(config.pool, config.count)
    engine = job.engine(job.load_model(number))
    path = job.round(number).path / "eval" / f"{benchmark.name}.jsonl"
    with job.timed(number, f"eval {benchmark.name}", len(items)) as task:
        records = answered(benchmark, lambda: engine, items, path, task.advance)
    figures: dict[str, Any] = {"metrics": benchmark.summarise(records)}
    twin = benchmark.blind_twin() if config.blind else None
    if twin is not None:
        figures["blind"] = twin.summarise(run_benchmark(twin, engine, items))
    if number:
        base = job.round(0).path / "eval" / f"{benchmark.name}.jsonl"
        figures["to_base"] = benchmark.compare([benchmark.from_json(row) for row in read_rows(base)], records)
    job.metrics.log(number, f"eval {benchmark.name}", {key: each["value"] for key, each in figures["metrics"].items()})
    return figures


def table(title: str, figures: dict[str, Any], other: str = "base") -> Table:
    """Each shown metric with its interval, its score without picture where that says something, and, behind round 0,
    the paired difference to the base (or to `other`), its interval, and whether it is good."""
    differences, blind = figures.get("to_base", {}), figures.get("blind", {})
    made = Table(title=title, title_justify="left", caption=LEGEND, caption_justify="left", box=box.SIMPLE)
    made.padding, made.pad_edge = (0, 1, 0, 0), False  # 80 columns are just enough
    made.add_column("metric")
    made.add_column("value", justify="right")
    made.add_column("95 %", justify="right")
    if blind:
        made.add_column("blind", justify="right")
    if differences:
        made.add_column(Text(f"against {other}, 95 %"))
    for name in _shown(figures["metrics"]):
        figure = figures["metrics"][name]
        cells = [name + ARROWS[metric(name).better], number(figure["value"]), interval(figure, dash="–")]
        if blind:
            cells.append(number(blind[name]["value"]) if name in blind else "")
        if differences:
            cells.append(_difference(name, differences.get(name)))
        made.add_row(*cells)
    return made


def _shown(metrics: Iterable[str]) -> list[str]:
    """Of the miniature's metrics those that matter most; of a benchmark on files the wholes, whose parts are called
    PART/METRIC."""
    return [name for name in SHOWN if name in metrics] or [name for name in metrics if "/" not in name]


def _difference(name: str, change: dict[str, float] | None) -> str:
    """`-0.119 (-0.131, -0.108) better`, or `=` where the interval holds zero; green where it is good."""
    if change is None:
        return ""
    text = f"{change['value']:+.3f} ({change['low']:+.3f}, {change['high']:+.3f})"
    judged = verdict(name, change)
    return f"{text} =" if judged == "same" else f"{text} [{COLOURS[judged]}]{judged}[/]"
