"""The sweep as a picture: what each kind does to descriptions and answers as its strength grows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sena import files
from sena.images.kinds import KINDS
from sena.report import charts
from sena.sweeps.sums import LEAST_DIFFERENT, PARTS, Spoiling

if TYPE_CHECKING:
    import altair as alt

COLUMNS = 4
FIGURES = {
    "differ": "Share of the texts that differ from those on the whole picture",
    "gap_token": "How much less likely the text on the whole picture becomes, nats a token",
}
COLOURS = (charts.ACCENT, "#c2571a")
WITHOUT = "no strength"


def write_picture(folder: Path, found: Sequence[Spoiling]) -> None:
    """`sweep.svg` and `sweep.png`, with 95 % intervals."""
    import altair as alt
    import vl_convert

    blocks = [_block(found, name, title) for name, title in FIGURES.items()]
    spec = charts.spec(alt.vconcat(*blocks, spacing=28).resolve_scale(color="shared"), background="white")
    files.write_text(folder / "sweep.svg", charts.draw_svg(spec))
    files.write_bytes(folder / "sweep.png", vl_convert.vegalite_to_png(spec, scale=2))


def _block(found: Sequence[Spoiling], name: str, title: str) -> Any:
    """One panel a kind; the kinds without a strength share the last."""
    import altair as alt

    panels: dict[str, list[dict[str, Any]]] = {}
    for each in found:
        has_strength = bool(KINDS[each.cell.kind].unit)
        panel = panels.setdefault(each.cell.kind if has_strength else WITHOUT, [])
        x = f"{each.cell.strength:g}" if has_strength else each.cell.kind
        panel += [{"at": x, "of": f"{part}s", **each.figures[part][name]} for part in PARTS]
    order = sorted(panels, key=lambda panel: panel == WITHOUT)
    top = max(point["high"] for points in panels.values() for point in points)
    low = min(0.0, *(point["low"] for points in panels.values() for point in points))
    scale = alt.Scale(domain=[0, 1] if name == "differ" else [low, max(top, 0.1)], nice=False)
    parts = [_panel(panel, panels[panel], scale, name == "differ") for panel in order]
    return alt.concat(*parts, columns=COLUMNS, spacing=20, title=alt.Title(title, anchor="start", fontSize=13))


def _panel(kind: str, points: list[dict[str, Any]], scale: alt.Scale, with_rule: bool) -> Any:
    import altair as alt

    order = list(dict.fromkeys(point["at"] for point in points))
    data = alt.Data(values=points)  # type: ignore[call-arg]
    angle = -30 if kind == WITHOUT else 0
    x = alt.X("at:N", sort=order, title=None, axis=alt.Axis(labelAngle=angle, labelFontSize=10))
    shift = alt.XOffset("of:N")
    y = alt.Y("value:Q", title=None, scale=scale, axis=alt.Axis(tickCount=4))
    colour = alt.Color(
        "of:N",
        scale=alt.Scale(domain=[f"{part}s" for part in PARTS], range=list(COLOURS)),
        legend=alt.Legend(title=None, orient="top"),
    )
    over = alt.Chart(data).encode(x=x, xOffset=shift, color=colour)
    bars = over.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", scale=scale, title=None), y2="high:Q")
    dots = over.mark_point(filled=True, size=36, opacity=1).encode(y=y)
    layers = [bars, dots]
    if with_rule:
        half = alt.Chart(alt.Data(values=[{"half": LEAST_DIFFERENT}]))  # type: ignore[call-arg]
        layers.insert(0, half.mark_rule(color=charts.MUTED, strokeDash=[3, 3]).encode(y="half:Q"))
    return alt.layer(*layers).properties(width=190, height=100, title=alt.Title(kind, fontSize=12, anchor="start"))
