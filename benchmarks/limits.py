"""How near training, reading pictures and decoding come to what the machine can do.

    python benchmarks/limits.py --small [--threads N] [--json F]
    python benchmarks/limits.py [--device cuda] [--dtype bfloat16] [--model DIR]

Operations and bytes are counted from the model's configuration (count.py) and set against two measured rates: matrix
products of the model's own sizes, of which the fastest counts, and a copy in memory. Without --small it is
LLaVA-1.5-7B's shape with random weights, which wants a GPU of 80 GB.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

import count
import passes
import train
from count import Amount, Load, Product
from passes import Bench, Trees
from sena.align.config import TrainConfig
from sena.align.work import of_rows
from sena.engines import prefix
from sena.engines.decode import decode
from sena.engines.prefix import Branch
from sena.models import encode
from sena.models.vlm import VLM
from sena.records import Request

CALLS = 3
"""Products timed together, so that starting one counts little."""
PROMPT = "Describe the picture in detail."


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is timed: images of two pairs each that are trained on, rows decoded together, steps of them, runs of
    each (behind a first one that is dropped), and numbers copied."""

    images: int
    rows: int
    steps: int
    repeats: int
    copied: int


SMALL, WHOLE = Extent(2, 32, 8, 3, 2**26), Extent(16, 64, 32, 5, 2**29)


@dataclass(frozen=True, slots=True)
class Pass:
    """What was done, how long it took, and what was counted."""

    name: str
    seconds: float
    amount: Amount


def matmul_rates(products: Sequence[Product], vlm: VLM, repeats: int) -> dict[str, float]:
    """Operations a second of each distinct product, by its sizes."""
    found: dict[str, float] = {}
    for each in dict.fromkeys((product.rows, product.inner, product.columns) for product in products):
        rows, inner, columns = each
        left = torch.randn(rows, inner, device=vlm.device, dtype=vlm.dtype)
        right = torch.randn(columns, inner, device=vlm.device, dtype=vlm.dtype)

        def multiply(left: torch.Tensor = left, right: torch.Tensor = right) -> None:
            for _ in range(CALLS):
                torch.nn.functional.linear(left, right)

        seconds = passes.fastest(multiply, repeats) / CALLS
        found[f"{rows} x {inner} x {columns}"] = 2 * rows * inner * columns / seconds
    return found


def copy_rate(vlm: VLM, numbers: int, repeats: int) -> float:
    """Bytes a second that are read and written by a copy of `numbers` numbers."""
    source = torch.ones(numbers, device=vlm.device, dtype=vlm.dtype)
    target = torch.empty_like(source)
    return 2 * source.nbytes / passes.fastest(lambda: target.copy_(source), repeats)


def branches(bench: Bench, rows: int) -> list[Branch]:
    """`rows` prompts on the pictures in turn, cut behind them."""
    vlm = bench.vlm
    seen = {name: encode.process(vlm, bench.open_image(name)) for name in bench.images}
    names = [bench.images[number % len(bench.images)] for number in range(rows)]
    return [prefix.cut(vlm, Request(str(number), PROMPT, name), seen[name]) for number, name in enumerate(names)]


def prefill(bench: Bench, repeats: int) -> Pass:
    """Pictures read for the first time, as many at once as the engine takes."""
    shared = branches(bench, 1)[0].shared
    chosen = branches(bench, min(len(bench.images), max(1, prefix.READ_AT_ONCE // shared)))
    with torch.inference_mode():
        seconds = passes.fastest(lambda: prefix.read(bench.vlm, chosen), repeats)
    load = Load(len(chosen), of_rows([shared] * len(chosen)), len(chosen))
    return Pass("prefill", seconds, count.forward(bench.vlm.model.config, load))


def decoding(bench: Bench, extent: Extent) -> Pass:
    """Steps of one token a row: what answers of several tokens take longer than those of one."""
    vlm, chosen = bench.vlm, branches(bench, extent.rows)
    with torch.inference_mode():
        kept = {branch.key: prefix.read(vlm, [branch])[0] for branch in chosen[: len(bench.images)]}
        prefixes = [kept[branch.key] for branch in chosen]

        def seconds(tokens: int) -> float:
            limited = [replace(each, request=replace(each.request, max_new_tokens=tokens)) for each in chosen]
            return passes.fastest(lambda: decode(vlm, limited, prefixes), extent.repeats)

        taken = seconds(1 + extent.steps) - seconds(1)
    before = chosen[0].shared + len(chosen[0].text)
    loads = [count.decode_step([before + step] * extent.rows) for step in range(extent.steps)]
    return Pass("decode", taken, count.total(count.forward(vlm.model.config, load) for load in loads))


def training(bench: Bench, extent: Extent) -> tuple[Pass, list[Product]]:
    """Forward and backward over the trees of images with two pairs each; also the products of its forward."""
    policy = passes.prepare_policy(bench.vlm)
    trees = Trees.plant(policy, train.make_pairs([2] * extent.images), TrainConfig().batch_tokens)
    seconds = passes.fastest(lambda: trees.learn(policy), extent.repeats)
    config, load = policy.model.config, trees.load()
    return Pass("training", seconds, count.training(config, load)), count.products(config, load)


def measure(bench: Bench, extent: Extent) -> dict[str, Any]:
    """All passes against the two rates."""
    vlm = bench.vlm
    rows = [prefill(bench, extent.repeats), decoding(bench, extent)]
    learned, products = training(bench, extent)
    products_a_second = matmul_rates(products, vlm, extent.repeats)
    limit, moved = max(products_a_second.values()), copy_rate(vlm, extent.copied, extent.repeats)
    return {
        "matmul_operations_per_second": limit,
        "matmul_by_size": products_a_second,
        "copy_bytes_per_second": moved,
        "passes": {each.name: rated(each, vlm.dtype.itemsize, limit, moved) for each in (learned, *rows)},
        "checkpointing": any(getattr(part, "gradient_checkpointing", False) for part in vlm.model.modules()),
        "parameters": sum(each.numel() for each in vlm.model.parameters()),
        "dtype": str(vlm.dtype).removeprefix("torch."),
        "clock": passes.told(),
        "threads": torch.get_num_threads(),
        "machine": train.describe(),
    }


def rated(done: Pass, size: int, limit: float, moved: float) -> dict[str, float]:
    """Rates of a pass, and their fractions of the limits. `size`: bytes of a number."""
    operations, moving = done.amount.operations / done.seconds, done.amount.numbers * size / done.seconds
    return {
        "seconds": done.seconds,
        "operations": done.amount.operations,
        "bytes": done.amount.numbers * size,
        "operations_per_second": operations,
        "bytes_per_second": moving,
        "of_matmul": operations / limit,
        "of_copy": moving / moved,
    }


def show(found: dict[str, Any]) -> None:
    sizes = found["matmul_by_size"]
    fastest = max(sizes, key=sizes.__getitem__)
    limit, moved = found["matmul_operations_per_second"], found["copy_bytes_per_second"]
    print(f"{found['parameters'] / 1e6:.0f} M weights, {found['dtype']}, {found['threads']} threads, ", end="")
    print(", ".join(f"{name} {value}" for name, value in found["machine"].items()))
    print(f"limits: {limit / 1e9:.1f} G operations a second in a product of {fastest}; ", end="")
    print(f"{moved / 1e9:.1f} GB a second copied; seconds are {found['clock']} time")
    if found["checkpointing"]:
        print("training computes activations twice for want of memory; its operations are counted once")
    print(f"{'':10}{'seconds':>9}{'G operations':>14}{'GB':>8}{'G op/s':>10}{'of limit':>10}", end="")
    print(f"{'GB/s':>8}{'of limit':>10}")
    for name, each in found["passes"].items():
        print(f"{name:10}{each['seconds']:>9.3f}{each['operations'] / 1e9:>14.1f}{each['bytes'] / 1e9:>8.2f}", end="")
        print(f"{each['operations_per_second'] / 1e9:>10.1f}{each['of_matmul']:>10.0%}", end="")
        print(f"{each['bytes_per_second'] / 1e9:>8.1f}{each['of_copy']:>10.0%}")


def main(words: Sequence[str] | None = None, extent: Extent | None = None) -> None:
    options: argparse.Namespace = passes.parser((__doc__ or "").split("\n")[0]).parse_args(words)
    extent = extent or (SMALL if options.small else WHOLE)
    with passes.opened(options, pictures=8, size="60m" if options.small else "7b") as bench:
        found = measure(bench, extent)
    show(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
