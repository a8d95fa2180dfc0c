"""Every family's tiny model on the CPU and on a pretended GPU, in a process of its own: what each gives, as JSON.

python -m tests.families.on_gpu
"""

from __future__ import annotations

import json
import tempfile
from typing import Any

from tests.families import vision

vision.make_importable()

from tests.gpu import pretend  # noqa: E402

pretend.prepare()

from sena.align import plain, selftest  # noqa: E402
from sena.align.tree_forward import TreeForward  # noqa: E402
from sena.engines.local import LocalEngine  # noqa: E402
from sena.models.load import load  # noqa: E402
from sena.models.vlm import VLM  # noqa: E402
from sena.records import Request  # noqa: E402
from tests.families import test_families as scene  # noqa: E402
from tests.families.tiny import TINY  # noqa: E402

TREES = TreeForward(4096)


def look(vlm: VLM) -> dict[str, Any]:
    """Answers, greedy and drawn, on clean and noisy pictures; log-probabilities, and why they are not a tree's."""
    kinds = [(None, 0.0), (scene.NOISE, 0.0), (None, 1.0)]
    asked = [
        Request(f"{shape}{number}", scene.PROMPT, shape, 7, noise, warmth, seed=3)
        for number, (noise, warmth) in enumerate(kinds)
        for shape in scene.SIZES
    ]
    replies = [reply.tokens for reply in LocalEngine(vlm).generate(asked, scene.picture)]
    pairs = plain.encode_pairs(vlm, scene.some_pairs(), scene.picture)
    fault = selftest.find_fault(vlm, pairs, TREES)
    found = (plain.log_probabilities if fault else TREES)(vlm, pairs)
    weights = {str(weight.device) for weight in vlm.model.parameters()}
    return {"replies": replies, "chosen": found.chosen.tolist(), "fault": fault, "devices": sorted(weights)}


def main() -> None:
    found: dict[str, Any] = {}
    for name, make in TINY.items():
        with tempfile.TemporaryDirectory() as place:
            made = make()
            made.model.save_pretrained(place)
            made.processor.save_pretrained(place)
            cpu = look(load(place, "float32", "cpu"))
            with pretend.pretended():
                found[name] = {"cpu": cpu, "gpu": look(load(place, "float32", "cuda"))}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
