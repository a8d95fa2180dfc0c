"""The metrics of a run as one picture, for a README or a talk."""

from __future__ import annotations

from sena.errors import SenaError
from sena.report import charts
from sena.report.meanings import label
from sena.report.read import measured, read_rounds
from sena.runs.folder import RunFolder

COLUMNS = 4


def metrics_picture(run: RunFolder) -> tuple[str, bytes]:
    """All metrics over the rounds with 95 % intervals, on white: the SVG text and the PNG at twice the size.

    Raises SenaError when the run has measured nothing.
    """
    import altair as alt
    import vl_convert

    rounds = read_rounds(run)
    if not measured(rounds):
        raise SenaError(f"{run.path} has no metrics to draw: name a benchmark under eval.benchmarks and run it")
    names = charts.drawn_metrics(rounds)
    parts = [charts.metric_chart(rounds, name, label(name)) for name in names]
    made = charts.spec(alt.concat(*parts, columns=COLUMNS, spacing=56, bounds="flush"), background="white")  # type: ignore[arg-type]
    return charts.draw_svg(made), vl_convert.vegalite_to_png(made, scale=2)
