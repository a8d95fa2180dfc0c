"""Pairs a second and peak memory in preference training: the image tree, the plain batch, and TRL's DPOTrainer.

    python benchmarks/train.py [--small [--every-side]] [--json F] [--demo RUN] [--size 7b] [--method lora]

Reference log-probabilities, decoding and encoding of pictures, forward, backward and optimizer are inside the clock;
loading the model is not, and the first optimizer step is a warm-up. The sides' first losses, log-probabilities and
gradient norms are compared before any speed is told. TRL (extra `trl`) is left out when it is not installed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import small_llava
from sena.models.template import VICUNA_V1_SYSTEM
from sena.records import Pair
from sena.runs import tables

LENGTHS = {"description": (25, 40, 35), "answer": (30, 6, 7)}
"""Tokens of the user's turn, the chosen and the rejected answer."""
PLACE = Path(__file__).parent


def make_pairs(counts: list[int], lengths: dict[str, tuple[int, int, int]] = LENGTHS) -> list[Pair]:
    """`counts` pairs about each image, descriptions and answers in turn, of random words."""
    words, made = random.Random(0), list[Pair]()
    for image, count in enumerate(counts):
        for number in range(count):
            kind = "description" if number % 2 == 0 else "answer"
            prompt, chosen, rejected = (
                " ".join(f"w{words.randrange(1000, 30_000)}" for _ in range(length)) for length in lengths[kind]
            )
            name = f"image{image:03d}"
            made.append(Pair(f"{name}-{number}", name, name, kind, prompt, chosen, rejected))
    return made


def kept_by(run: Path, images: int) -> list[int]:
    """Pairs an image of a run's first round, images without any left out, thinned to `images` of the same spread.

    The last images lose a pair or two, so that batches of four come out even and weigh the same on every side.
    """
    pairs = tables.read(run / "round-1" / "pairs.parquet", Pair)
    kept = sorted(Counter(pair.image_id for pair in pairs).values())
    counts = [kept[number * len(kept) // images] for number in range(images)]
    while sum(counts) % 4:
        counts[-1] -= 1
        counts = [count for count in counts if count]
    return counts


def cases(small: bool, demo: Path | None) -> dict[str, list[int]]:
    """Pairs of each image, by case."""
    pairs = 4 if small else 16
    found = {str(each): [each] * (pairs // each) for each in (1, 2, 4)}
    return found | ({"demo": kept_by(demo, 6 if small else 12)} if demo else {})


def sides(small: bool, has_trl: bool, whole: bool = True) -> dict[str, dict[str, Any]]:
    """What is run, by name. Each side has its batch sizes (in pairs) and activation checkpointing on and off.

    Not `whole`: the tree, and TRL without checkpointing alone, which is its fastest setting wherever memory suffices.
    """
    off, on = {"checkpointing": False}, {"checkpointing": True}
    found = {"tree": {"side": "tree", "batch": 4, **off}}
    for batch in (2,) if small else (1, 2, 4):
        if whole or not has_trl:
            found[f"plain, batch {batch}"] = {"side": "plain", "batch": batch, **off}
        if has_trl:
            trl = {"side": "trl", "batch": batch, "compact": True}
            found[f"TRL, batch {batch}"] = {**trl, **off}
        if has_trl and whole:
            found[f"TRL, batch {batch}, checkpointing"] = {**trl, **on}
    if has_trl and not small:
        found["TRL, batch 2, all tokens in the head"] = {"side": "trl", "batch": 2, "compact": False, **off}
    return found


def measure(spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run one side in a process of its own."""
    request, answer = folder / "spec.json", folder / "out.json"
    answer.unlink(missing_ok=True)
    request.write_text(json.dumps(spec))
    command = [sys.executable, str(PLACE / "train_sides.py"), str(request), str(answer)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not answer.exists():
        sys.exit(f"{spec['side']} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return json.loads(answer.read_text())


def demand_equal(results: dict[str, dict[str, Any]], exact: bool, full: bool) -> None:
    """The first step's numbers are those of the tree on every side, within rounding.

    Adapters begin at random numbers of each side's own, so with them gradients cannot be compared.
    """
    truth = results["tree"]["steps"][0]
    for name, found in results.items():
        first = found["steps"][0]
        loss = first.get("loss/dpo", first["loss"])
        gaps = {
            "preference loss": abs(loss - truth["loss/dpo"]),
            "chosen log-probability": abs(first["logps/chosen"] / truth["logps/chosen"] - 1),
            "rejected log-probability": abs(first["logps/rejected"] / truth["logps/rejected"] - 1),
            "gradient norm": abs(first["grad_norm"] / truth["grad_norm"] - 1) if full else 0.0,
        }
        allowed = 1e-3 if exact else 5e-2
        wrong = [f"{what} by {gap:.2g}" for what, gap in gaps.items() if gap > allowed]
        if wrong:
            sys.exit(f"{name} and the tree do not do the same: they differ in {', '.join(wrong)}")


def compare(results: dict[str, dict[str, Any]]) -> dict[str, float | None]:
    """The tree's rate over the others' best, in wall-clock and processor time, and over TRL's default."""

    def ratio(start: str, key: str = "pairs_per_second", end: str = "") -> float | None:
        best = [found[key] for name, found in results.items() if name.startswith(start) and name.endswith(end)]
        return results["tree"][key] / max(best) if best else None

    return {
        "to_trl": ratio("TRL"),
        "to_trl_default": ratio("TRL", end="checkpointing"),
        "to_plain": ratio("plain"),
        "to_trl_cpu": ratio("TRL", "pairs_per_cpu_second"),
        "to_trl_default_cpu": ratio("TRL", "pairs_per_cpu_second", "checkpointing"),
        "to_plain_cpu": ratio("plain", "pairs_per_cpu_second"),
    }


def prepare(folder: Path, size: str, chosen: dict[str, list[int]]) -> None:
    """Model, pictures and pairs of all cases."""
    save = small_llava.save_7b if size == "7b" else small_llava.save
    save(folder, [VICUNA_V1_SYSTEM])
    noise = np.random.default_rng(0)
    for number in range(max(len(counts) for counts in chosen.values())):
        picture = noise.integers(0, 256, (336, 336, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"image{number:03d}.png")
    for name, counts in chosen.items():
        (folder / f"pairs-{name}.json").write_text(json.dumps([asdict(pair) for pair in make_pairs(counts)]))


def describe() -> dict[str, str]:
    names = ("torch", "transformers", "trl", "peft")
    known = {name: importlib.metadata.version(name) for name in names if importlib.util.find_spec(name)}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{platform.machine()} CPU"
    return {"device": device, "load": f"{os.getloadavg()[0]:.1f}", "python": platform.python_version(), **known}


def show(case: str, counts: list[int], results: dict[str, dict[str, Any]], ratios: dict[str, float | None]) -> None:
    mean = sum(counts) / len(counts)
    print(f"\n{mean:.3g} pairs an image ({case})")
    print(f"  {'':40}{'pairs/s':>9}{'pairs/CPU s':>13}{'peak MiB':>10}")
    for name, found in results.items():
        rate, cpu = found["pairs_per_second"], found["pairs_per_cpu_second"]
        print(f"  {name:40}{rate:9.3f}{cpu:13.3f}{found['peak_mib']:10.0f}")
    told = [f"{name[3:].replace('_', ' ')} {value:.2f}x" for name, value in ratios.items() if value]
    print(f"  tree against {', '.join(told)}", flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--small", action="store_true", help="fewer pairs and settings: a few minutes on a laptop")
    parser.add_argument(
        "--every-side", action="store_true", help="with --small: all sides in every case, not at 2 pairs an image alone"
    )
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--demo", type=Path, help="a run folder: adds a case with the pairs an image that it kept")
    parser.add_argument("--size", choices=["60m", "7b"], default="60m", help="7b wants a GPU of 80 GB")
    parser.add_argument("--method", choices=["full", "lora"], default="full")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def main() -> None:
    options = parse()
    has_trl = importlib.util.find_spec("trl") is not None
    chosen, written = cases(options.small, options.demo), dict[str, Any]()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        prepare(folder, options.size, chosen)
        shared = {"folder": place, "method": options.method, "threads": options.threads}
        for case, counts in chosen.items():
            whole = options.every_side or not options.small or case == "2"
            results = {
                name: measure({**shared, **side, "case": case}, folder)
                for name, side in sides(options.small, has_trl, whole).items()
            }
            demand_equal(results, not torch.cuda.is_available(), options.method == "full")
            ratios = compare(results)
            show(case, counts, results, ratios)
            written[case] = {"results": results, **ratios}
    report = {f"ratio_{key}": {case: found[key] for case, found in written.items()} for key in ("to_trl", "to_plain")}
    report |= {"machine": describe(), "method": options.method, "size": options.size, "cases": written}
    print("\n" + ", ".join(f"{name} {value}" for name, value in report["machine"].items()))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
