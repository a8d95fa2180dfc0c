"""The table as a picture: every recipe's difference to the base with its interval, one panel a metric."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sena import files

PANELS = {
    "chair_i": "things that are not there (CHAIR_i), less is better",
    "coverage": "things that are there and mentioned",
    "pope_adversarial": "yes/no about what usually stands together",
    "vqa": "short answers",
}


def draw(made: dict[str, Any], path: Path) -> None:
    """A PNG of all recipes that have runs, in the order of the table. The line at 0 is the base model."""
    import altair as alt
    import vl_convert

    rows = [
        {"recipe": name, "metric": label, **{end: figure[end] for end in ("value", "low", "high")}}
        for name, recipe in made["recipes"].items()
        for metric, label in PANELS.items()
        if (figure := recipe["to_base"].get(metric))
    ]
    order = [name for name, recipe in made["recipes"].items() if recipe["runs"]]
    y = alt.Y("recipe:N", sort=order, title=None)
    bars = alt.Chart().mark_rule(strokeWidth=2).encode(y=y, x=alt.X("low:Q", title=None), x2="high:Q")
    dots = alt.Chart().mark_point(filled=True, size=50).encode(y=y, x="value:Q")
    zero = alt.Chart().mark_rule(strokeDash=[4, 4], color="grey").encode(x=alt.datum(0))
    panels = alt.layer(zero, bars, dots, data=alt.Data(values=rows)).properties(width=260)
    chart = panels.facet(facet=alt.Facet("metric:N", title=None, sort=list(PANELS.values())), columns=2)
    chart = chart.resolve_scale(x="independent").properties(title="after the last round, against the base model")
    files.write_bytes(path, vl_convert.vegalite_to_png(chart.to_dict(), scale=2))
