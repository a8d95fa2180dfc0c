"""From two results of scale.py to 10^8 images on 256 GPUs: what grows, by how much, and what breaks first."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image as PIL

from sena.images.config import LimitsConfig
from sena.images.sample import _seen

IMAGES, GPUS = 10**8, 256
SECONDS_AN_IMAGE = 20.7 * 60 / 18_000
"""The data half of 18,000 images on an H100 at the least, by arithmetic (docs/performance.md): the quickest shards, so
the most work for the driver."""
SHARDS = (48, 500, 4096)
ROW_BYTES = 400
"""Of a reply in memory, at the most. While tables are joined, a 256th of the replies is held three times."""


def reckon(smaller: dict[str, Any], larger: dict[str, Any]) -> dict[str, Any]:
    """Lines of (what, measured at the larger number, at 10^8). A worker holds one shard, so that its memory stays."""
    images = larger["images"]

    def grown(read: Callable[[dict[str, Any]], float]) -> tuple[float, float]:
        """A straight line through both."""
        low, high = read(smaller), read(larger)
        return high, high + max(0.0, high - low) / (images - smaller["images"]) * (IMAGES - images)

    def by_image(value: float) -> tuple[float, float]:
        return value, value / images * IMAGES

    phases, kept, driver = larger["phases"], larger["files"], larger["driver"]
    joining, more = phases["compact"]["rss_peak"] / 1e9, IMAGES / images - 1
    joined = sum(size for name, size in kept["joined"].items())
    per_file, files_a_shard = kept["seconds_to_list"] / kept["in_shards"], kept["in_shards"] / larger["shards"]
    lines = [
        ("driver's memory, drawing, GB", *grown(lambda found: found["phases"]["draw_images"]["rss_peak"] / 1e9)),
        ("driver's memory, pairs at work, GB", *grown(lambda found: found["phases"]["work_off"]["rss_peak"] / 1e9)),
        (
            "driver's memory, joining, GB",
            joining,
            joining + 3 * ROW_BYTES * larger["funnel"]["replies"] * more / 256 / 1e9,
        ),
        ("driver's memory, report, GB", *grown(lambda found: found["phases"]["tell"]["rss_peak"] / 1e9)),
        ("a worker's memory, GB (flat in a run)", *[max(each["worker"] for each in larger["memory"]) / 1e9] * 2),
        ("joining, processor hours", *by_image(phases["compact"]["processor_seconds"] / 3600)),
        ("tables in shards, GB", *by_image(sum(kept["bytes_in_shards"].values()) / 1e9)),
        ("joined tables, GB", *by_image(joined / 1e9)),
        ("manifest.json and metrics.jsonl, MB", *[sum(list(larger["bytes"].values())[:2]) / 1e6] * 2),
    ]
    drawing = picture_seconds()
    return {
        "images": IMAGES,
        "gpus": GPUS,
        "from": [smaller["images"], images],
        "lines": [{"what": what, "measured": high, "far": far} for what, high, far in lines],
        "drawing": {
            "processor_seconds_a_picture": drawing,
            "hours_on_one_processor": drawing * IMAGES / 3600,
            "hours_on_sixteen": drawing * IMAGES / 3600 / 16,
            "hours_of_pairs_on_the_gpus": SECONDS_AN_IMAGE * IMAGES / GPUS / 3600,
        },
        "shards": [by_shard(size, driver["processor_seconds_a_shard"], per_file, files_a_shard) for size in SHARDS],
    }


def by_shard(size: int, driver: float, per_file: float, files: float) -> dict[str, float]:
    """What depends on how many images a shard has."""
    count = -(-IMAGES // size)
    return {
        "images": size,
        "shards": count,
        "files": count * files,
        "hours_to_list": count * files * per_file / 3600,
        "shards_a_second": GPUS / (SECONDS_AN_IMAGE * size),
        "driver_can": 1 / driver,
        "lost_with_a_worker_minutes": size * SECONDS_AN_IMAGE / 60,
    }


def picture_seconds(count: int = 40) -> float:
    """Processor seconds to hash and decode a JPEG of 640 x 480, as drawing does."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).normal(128, 40, (60, 80, 3)).clip(0, 255).astype(np.uint8)
    PIL.fromarray(noise).resize((640, 480), PIL.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    data, limits = buffer.getvalue(), LimitsConfig()
    begun = time.process_time()
    for _ in range(count):
        _seen("", "", data, limits)
    return (time.process_time() - begun) / count


def show(found: dict[str, Any]) -> None:
    low, high = found["from"]
    print(f"REACHED FOR, NOT MEASURED: {found['images']:,} images on {found['gpus']} GPUs, from {low:,} and {high:,}\n")
    print(f"{'':40}{f'{high:,}':>12}{'10^8':>12}")
    for line in found["lines"]:
        print(f"{line['what']:40}{line['measured']:>12,.2f}{line['far']:>12,.2f}")
    print()
    for name, value in found["drawing"].items():
        print(f"{name.replace('_', ' '):40}{value:>12,.4g}")
    print(f"\n{'images a shard':32}" + "".join(f"{each['images']:>14,}" for each in found["shards"]))
    for name in list(found["shards"][0])[1:]:
        print(f"{name.replace('_', ' '):32}" + "".join(f"{each[name]:>14,.4g}" for each in found["shards"]))
