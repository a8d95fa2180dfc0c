"""The sweep as a table for a terminal of 80 columns, and what it names in words. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from sena.images.kinds import KINDS

Result = Mapping[str, Any]
"""What `sweep.json` holds."""
FEW = 20
"""Images below which a sweep names nothing for a run: its intervals are then as wide as the scale."""


def table(result: Result) -> Table:
    """A line a cell: shares that differ, gaps and lengths. Marked is the strength that the rule names for its kind."""
    made = Table(title=_title(result), title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    made.add_column("kind, strength", no_wrap=True)
    for name in (
        "descriptions\ndiffer, %",
        "answers\ndiffer, %",
        "nats a token\nless likely",
        "nats\na text",
        "length",
    ):
        made.add_column(name, justify="right", no_wrap=True)
    last = ""
    for cell in result["cells"]:
        kind, has_strength = cell["kind"], bool(KINDS[cell["kind"]].unit)
        if has_strength and kind != last:
            made.add_row(kind)
        last = kind
        named = result["defaults"].get(kind) == cell["strength"]
        label = f"{cell['strength']:>10g}" if has_strength else kind
        made.add_row(*_row(cell, f"{label}{'*' if named else ''}"), style="bold" if named else "")
    return made


def words(result: Result) -> list[str]:
    """What the rule names, a line each."""
    named = {kind: strength for kind, strength in result["defaults"].items() if strength is not None}
    told = ", ".join(f"{kind} {strength:g}" if KINDS[kind].unit else kind for kind, strength in named.items())
    lines = [f"Named (*): {result['rule']}.", f"  {told or 'none of those that were tried'}"]
    own = result["kind"]
    if result["answered"] < FEW:
        lines.append(f"Only {result['answered']} images gave texts, too few to choose by: give more (--limit)")
    elif own in named:
        strength = f" --set corruption.strength={named[own]:g}" if KINDS[own].unit else ""
        lines.append(f"For a run: --set corruption.kind={own}{strength} (the recipe has {result['strength']:g})")
    elif own in result["defaults"]:
        lines.append(f"No tried strength of {own}, which the recipe takes, is named: choose another kind, or look why")
    lines.append("How much a corruption spoils is not how much training on its pairs helps: that only runs can tell.")
    return lines


def _title(result: Result) -> str:
    images = f"{result['answered']} of {result['images']} images"
    return f"{result['model']} on {images}: spoiled against whole pictures (95 % intervals)"


def _row(cell: Mapping[str, Any], label: str) -> list[Text]:
    every = cell["all"]
    texts = (
        label,
        *(_percent(cell[part]["differ"]) for part in ("description", "answer")),
        _nats(every["gap_token"]),
        f"{every['gap']['value']:.1f}",
        f"x{every['length']['value']:.2f}",
    )
    return [Text(text) for text in texts]


def _percent(figure: Mapping[str, float]) -> str:
    """`63 (51-74)`."""
    value, low, high = (f"{100 * figure[name]:.0f}" for name in ("value", "low", "high"))
    return f"{value} ({low}-{high})"


def _nats(figure: Mapping[str, float]) -> str:
    """`0.07 (-0.01 to 0.15)`: a text may also become likelier."""
    value, low, high = (f"{figure[name]:.2f}" for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"
