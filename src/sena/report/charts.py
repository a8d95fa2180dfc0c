"""Charts as SVG: altair describes them, vl-convert draws them ahead of time, and the page needs no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sena.report.meanings import in_order
from sena.report.read import Figure, RoundData, measured
from sena.text import printable

if TYPE_CHECKING:
    import altair as alt

INK, MUTED, GRID, ACCENT = "#1b1f26", "#5d6673", "#d4d9e0", "#1d63c4"
VARIABLES = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--line)", ACCENT: "var(--accent)"}
CURVES = {
    "loss/dpo": ("preference loss", "mean over the pairs of a step, less is better"),
    "loss/content": ("alignment loss", "nats a token of the chosen descriptions, less is better"),
    "rewards/margins": (
        "reward margin",
        "chosen over rejected: beta times the move away from the reference, nats",
    ),
    "rewards/accuracies": ("share of pairs ranked right", "of a step's pairs: chosen has the larger reward"),
}
ASIDE = ("wrong_mentions", "true_mentions")  # told by CHAIR_i and coverage already; the page's table has them
MOST_POINTS = 300


def drawn_metrics(rounds: Sequence[RoundData]) -> list[str]:
    """The metrics worth a chart, in order."""
    found = {name: None for each in measured(rounds) for name in each.metrics}
    return [name for name in in_order(list(found)) if name not in ASIDE]


def metric_chart(rounds: Sequence[RoundData], name: str, title: str = "") -> alt.TopLevelMixin:
    """One metric over the rounds: a dot a round, its 95 % interval as an error bar, a dashed line at the base."""
    import altair as alt

    points = [{"round": each.number, **each.metrics[name]} for each in measured(rounds) if name in each.metrics]
    data = alt.Data(values=points)  # type: ignore[call-arg]
    x = alt.X("round:O", title="round", axis=alt.Axis(labelAngle=0, grid=False))
    scale = alt.Scale(zero=False, nice=True)
    # The title is the axis's: at a fixed place above the plot, where titles of neighbours are in one line.
    place = {"titleAngle": 0, "titleAlign": "left", "titleX": -34, "titleY": -16, "titleFontSize": 12}
    axis = alt.Axis(tickCount=4, titleColor=INK, titleFontWeight=600, **place)  # type: ignore[arg-type]
    y = alt.Y("value:Q", title=title or None, scale=scale, axis=axis)
    over = alt.Chart(data).encode(x=x)
    base = alt.Chart(alt.Data(values=points[:1])).mark_rule(color=MUTED, strokeDash=[3, 3]).encode(y=y)  # type: ignore[call-arg]
    bars = over.mark_rule(color=ACCENT, strokeWidth=2).encode(
        y=alt.Y("low:Q", scale=scale, title=title or None), y2="high:Q"
    )
    ends = [
        over.mark_tick(color=ACCENT, size=9, thickness=2, opacity=1).encode(y=alt.Y(f"{end}:Q", title=title or None))
        for end in ("low", "high")
    ]
    line = over.mark_line(color=ACCENT, strokeWidth=1, opacity=0.6).encode(y=y)
    dots = over.mark_point(color=ACCENT, fill=ACCENT, size=45, opacity=1).encode(y=y)
    return alt.layer(base, line, bars, *ends, dots).properties(width=210, height=110)


def runs_chart(points: Mapping[str, Sequence[tuple[int, Figure]]]) -> alt.TopLevelMixin:
    """One metric of several runs over the rounds: a letter a run with its 95 % interval, side by side in each round."""
    import altair as alt

    values = [{"run": run, "round": number, **figure} for run, found in points.items() for number, figure in found]
    scale, place = alt.Scale(zero=False, nice=True), alt.XOffset("run:N", scale=alt.Scale(domain=list(points)))
    over = alt.Chart(alt.Data(values=values)).encode(  # type: ignore[call-arg]
        x=alt.X("round:O", title="round", axis=alt.Axis(labelAngle=0, grid=False)), xOffset=place
    )
    low = alt.Y("low:Q", scale=scale, title=None, axis=alt.Axis(tickCount=4))
    bars = over.mark_rule(color=ACCENT, strokeWidth=2, opacity=0.6).encode(y=low, y2="high:Q")
    dots = over.mark_point(color=ACCENT, fill=ACCENT, size=20, opacity=1).encode(y=alt.Y("value:Q", scale=scale))
    names = over.mark_text(dx=7, fontSize=10, color=INK).encode(y=alt.Y("value:Q", scale=scale), text="run:N")
    return alt.layer(bars, dots, names).properties(width=230, height=110)


def curve_chart(lines: Sequence[dict[str, Any]], key: str) -> alt.Chart | None:
    """A figure of the training half over the optimizer steps, a line a round; None when it was not logged."""
    import altair as alt

    points = [
        {"round": f"round {line['round']}", "step": line["step"], "value": float(line[key])}
        for line in lines
        if isinstance(line.get(key), int | float) and abs(line[key]) < float("inf")
    ]
    if not points:
        return None
    chart = alt.Chart(alt.Data(values=_thin(points)))  # type: ignore[call-arg]
    dashes = alt.StrokeDash("round:N", legend=alt.Legend(title=None, orient="bottom", symbolType="stroke"))
    mark = chart.mark_line(color=ACCENT, strokeWidth=1.5) if len(points) > 1 else chart.mark_point(color=ACCENT)
    return mark.encode(
        x=alt.X("step:Q", title="optimizer step", axis=alt.Axis(tickCount=5, grid=False, format="d")),
        y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=4)),
        strokeDash=dashes,
    ).properties(width=210, height=110)


def _thin(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most MOST_POINTS a round, evenly spaced, so that a long run's page stays small."""
    rounds: dict[str, list[dict[str, Any]]] = {}
    for point in sorted(points, key=lambda point: point["step"]):
        rounds.setdefault(point["round"], []).append(point)
    return [point for line in rounds.values() for point in line[:: -(-len(line) // MOST_POINTS)]]


def spec(chart: alt.TopLevelMixin, background: str = "transparent") -> dict[str, Any]:
    """The chart as Vega-Lite with our colours."""
    axis = {"labelColor": MUTED, "titleColor": MUTED, "domainColor": GRID, "tickColor": GRID, "gridColor": GRID}
    sizes = {"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal"}
    made = chart.to_dict()
    made["background"] = background
    made["config"] = {
        "view": {"stroke": None},
        "axis": {**axis, **sizes},
        "legend": {"labelColor": MUTED, "titleColor": MUTED},
    }
    return made


def draw_svg(made: dict[str, Any]) -> str:
    import vl_convert

    return vl_convert.vegalite_to_svg(made)


def page_svg(chart: alt.TopLevelMixin, about: str) -> str:
    """The chart for the page: its colours follow the page's theme, its size the page's width, `about` is read aloud."""
    from markupsafe import escape

    svg = draw_svg(spec(chart))
    for colour, variable in VARIABLES.items():
        svg = svg.replace(f'"{colour}"', f'"{variable}"')
    svg = svg.replace('font-family="sans-serif"', 'font-family="inherit"')
    head, _, rest = svg.partition(">")
    return f'{head} role="img" aria-label="{escape(printable(about))}">{rest}'
