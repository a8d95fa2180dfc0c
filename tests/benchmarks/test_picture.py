"""The picture of the training benchmark, from the figures that are kept with it."""

from __future__ import annotations

import io
import json
from pathlib import Path

from PIL import Image

import picture

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "train-cpu.json"


def test_the_best_batch_of_each_side() -> None:
    """Plain rows are fastest in batches of 2 here; the head over all tokens and the demo's case are not drawn."""
    rates = {
        "tree": 0.7, "plain, batch 1": 0.1, "plain, batch 2": 0.2, "TRL, batch 2, checkpointing": 0.15,
        "TRL, batch 2, all tokens in the head": 9.0,
    }  # fmt: skip
    results = {name: {"pairs_per_cpu_second": rate} for name, rate in rates.items()}
    found = picture.rates({"cases": {"2": {"results": results}, "demo": {"results": results}}})
    assert [(each["pairs"], each["side"], each["rate"]) for each in found] == [
        ("2", "tree", 0.7),
        ("2", "plain rows", 0.2),
        ("2", "TRL, checkpointing (its default)", 0.15),
    ]


def test_drawn() -> None:
    report = json.loads(RESULTS.read_text())
    assert len(picture.rates(report)) == 12
    drawn = Image.open(io.BytesIO(picture.draw(report)))
    assert drawn.format == "PNG"
    assert drawn.width > drawn.height > 300
