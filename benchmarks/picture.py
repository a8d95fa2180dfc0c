"""The training benchmark as a picture: pairs an image against pairs a processor second, a line for each side."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

SIDES = {"tree": "tree", "plain": "plain rows", "TRL": "TRL", "TRL, checkpointing": "TRL, checkpointing (its default)"}
COLOURS = ("#1d63c4", "#5d6673", "#c4561d", "#d99a6c")


def rates(report: dict[str, Any]) -> list[dict[str, Any]]:
    """A point for each side and number of pairs an image: the best batch size of the side. Other cases are left out."""
    found: dict[tuple[str, str], float] = {}
    for case, told in report["cases"].items():
        for name, result in told["results"].items():
            side = side_of(name)
            if case.isdigit() and side:
                found[case, side] = max(result["pairs_per_cpu_second"], found.get((case, side), 0.0))
    return [{"pairs": case, "side": SIDES[side], "rate": rate} for (case, side), rate in found.items()]


def side_of(name: str) -> str:
    """`TRL, batch 2, checkpointing` -> `TRL, checkpointing`; empty for a side that is not drawn."""
    side = ", ".join(part for part in name.split(", ") if not part.startswith("batch "))
    return side if side in SIDES else ""


def draw(report: dict[str, Any]) -> bytes:
    """A PNG at twice the size, on white."""
    import altair as alt
    import vl_convert

    from sena.report.charts import spec

    data = alt.Data(values=rates(report))  # type: ignore[call-arg]
    names = list(SIDES.values())
    colour = alt.Color(
        "side:N", sort=names, scale=alt.Scale(domain=names, range=COLOURS), legend=alt.Legend(title=None)
    )
    place = alt.X("pairs:O", title="pairs an image", sort=None, axis=alt.Axis(labelAngle=0, grid=False))
    rate = alt.Y("rate:Q", title="pairs a processor second", scale=alt.Scale(zero=True))
    chart = alt.Chart(data).encode(x=place, y=rate, color=colour)
    lines = chart.mark_line(strokeWidth=2) + chart.mark_point(filled=True, size=60, opacity=1)
    return vl_convert.vegalite_to_png(spec(lines.properties(width=320, height=220), background="white"), scale=2)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("report", type=Path, help="what benchmarks/train.py --json wrote")
    parser.add_argument("picture", type=Path, help="the PNG to write")
    options = parser.parse_args()
    options.picture.write_bytes(draw(json.loads(options.report.read_text())))


if __name__ == "__main__":
    main()
