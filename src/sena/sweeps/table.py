"""The sweep as a table for a terminal of 80 columns, and what it names in words. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from sena.images.kinds import KINDS

Result = Mapping[str, Any]
"""What `sweep.json` holds."""


def table(result: Result) -> Table:
    """A line a cell: shares that differ, gaps and lengths. Marked is the strength that the rule names for its kind."""
    made = Table(title=_title(result), title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    made.add_column("kind")
    made.add_column("strength", justify="right")
    for name in ("descriptions\ndiffer", "answers\ndiffer", "nats\na token", "nats an\nanswer", "length"):
        made.add_column(name, justify="right")
    last = ""
    for cell in result["cells"]:
        kind = cell["kind"]
        if last and kind != last:
            made.add_row()
        named = result["defaults"].get(kind) == cell["strength"]
        made.add_row(*_row(cell, named, kind if kind != last else ""), style="bold" if named else "")
        last = kind
    return made


def words(result: Result) -> list[str]:
    """What the rule names, a line each."""
    named = {kind: strength for kind, strength in result["defaults"].items() if strength is not None}
    told = ", ".join(f"{kind} {strength:g}" if KINDS[kind].unit else kind for kind, strength in named.items())
    lines = [f"Named (*): {result['rule']}.", f"  {told or 'none of those that were tried'}"]
    own = result["kind"]
    if own in named:
        strength = f" --set corruption.strength={named[own]:g}" if KINDS[own].unit else ""
        lines.append(f"For a run: --set corruption.kind={own}{strength} (the recipe has {result['strength']:g})")
    elif own in result["defaults"]:
        lines.append(f"No tried strength of {own}, which the recipe takes, is named: choose another kind, or look why")
    lines.append("How much a corruption spoils is not how much training on its pairs helps: that only runs can tell.")
    return lines


def _title(result: Result) -> str:
    return f"{result['model']} on {result['images']} images: spoiled against whole pictures (95 % intervals)"


def _row(cell: Mapping[str, Any], named: bool, kind: str) -> list[Text]:
    strength = f"{cell['strength']:g}" if KINDS[cell["kind"]].unit else ""
    shares = [_share(cell[part]["differ"]) for part in ("description", "answer")]
    every = cell["all"]
    gap = every["gap_token"]
    span = f"{gap['value']:.2f} ({gap['low']:.2f}-{gap['high']:.2f})"
    texts = [kind, f"{strength}{'*' if named else ' '}", *shares, span, f"{every['gap']['value']:.1f}"]
    return [Text(text) for text in (*texts, f"x{every['length']['value']:.2f}")]


def _share(figure: Mapping[str, float]) -> str:
    """`63 % (51-74)`."""
    value, low, high = (100 * figure[name] for name in ("value", "low", "high"))
    return f"{value:.0f} % ({low:.0f}-{high:.0f})"
