"""What a million images cost beside the model: memory, files, a driver's work, going on after a kill.

    python benchmarks/scale.py [--small] [--images N] [--shard N] [--json F]
    python benchmarks/scale.py --far SMALLER.json LARGER.json

`sena pairs` on Ray with two workers, a scripted model and scripted pictures (scale_world.py). Real are drawing, shards,
the pool, actors, all stages with their prompts and filters, tables, joining, the report. Workers are killed, engines
raise and hang, one picture kills whoever takes it, and the driver is killed on the way and started again. How fast it
goes says nothing of a real run. --far reckons 10^8 images on 256 GPUs from two such results.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

import scale_far
import scale_world
import train

SMALL, WHOLE = 20_000, 1_000_000
KILLED_AT = 0.4
"""The share of the shards behind which the driver is killed."""
TOLD_AT = (0.1, 0.3, 0.6, 1.0)
REAL = "drawing, decoding of tiny files, shards, pool, Ray's actors, stages, filters, tables, joining, funnel, report"
SCRIPTED = "the pictures' content, the model's replies (no delay), the failures"


@dataclass(slots=True)
class Watch:
    """Looks at the driver and Ray's processes from outside."""

    shards: Path
    kept: Path
    begun: float = field(default_factory=time.time)
    samples: list[dict[str, Any]] = field(default_factory=list)

    def done(self) -> int:
        return len(os.listdir(self.shards)) if self.shards.is_dir() else 0

    def look(self, driver: subprocess.Popen[Any]) -> int:
        """Resident bytes of the driver, of each worker, and of what Ray runs beside them; shards begun by now."""
        try:
            children = psutil.Process(driver.pid).children(recursive=True)
            own = psutil.Process(driver.pid).memory_info().rss
        except psutil.Error:
            return self.done()
        workers, others = [], 0
        for child in children:
            try:
                name, size = " ".join(child.cmdline()), child.memory_info().rss
            except psutil.Error:  # it ended meanwhile
                continue
            if name.startswith("ray::Node"):
                workers.append(size)
            else:
                others += size
        seen = {"seconds": time.time() - self.begun, "shards": self.done(), "driver": own}
        self.samples.append({**seen, "workers": workers, "ray": others})
        with open(self.kept, "a") as handle:
            handle.write(json.dumps(self.samples[-1]) + "\n")
        return seen["shards"]


def run(place: Path, count: int, shard: int) -> dict[str, Any]:
    """All of it in the folder `place`."""
    out, parts = place / "run", -(-count // shard)
    watch = Watch(out / "round-1" / "shards", place / "samples.jsonl")
    words = [str(out), str(count), str(shard)]
    first = start(words)
    while watch.look(first) < parts * KILLED_AT and first.poll() is None:
        time.sleep(2)
    family = psutil.Process(first.pid).children(recursive=True)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    killed = time.time()
    psutil.wait_procs(family, timeout=120)
    ended, before = time.time(), watch.done()
    second = start(words)
    resumed = went_on(second, out, watch, before)
    while second.poll() is None:
        watch.look(second)
        time.sleep(2)
    if second.returncode:
        raise SystemExit(f"The run ended with {second.returncode}: see {out / 'log.txt'}")
    return {
        "images": count,
        "shard": shard,
        "shards": parts,
        "killed_at_shards": before,
        "seconds_until_ray_was_gone": ended - killed,
        "resume": resumed,
        **told(out, watch.samples, parts),
        "real": REAL,
        "scripted": SCRIPTED,
        "machine": train.describe(),
    }


def start(words: Sequence[str]) -> subprocess.Popen[Any]:
    here = str(Path(__file__).parent)
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
    return subprocess.Popen([sys.executable, __file__, "--drive", *words], env=environment, stdout=subprocess.DEVNULL)


def went_on(driver: subprocess.Popen[Any], out: Path, watch: Watch, before: int) -> dict[str, float]:
    """Seconds from the second start until it knew what was done, and until the next shard was begun."""
    begun, log = time.time(), (out / "log.txt").stat().st_size
    found: dict[str, float] = {}
    while driver.poll() is None and "first_shard" not in found:
        with open(out / "log.txt") as handle:
            handle.seek(log)
            if "were done before" in handle.read():
                found.setdefault("shards_known", time.time() - begun)
        if watch.done() > before:
            found["first_shard"] = time.time() - begun
        time.sleep(0.2)
    return found


def told(out: Path, samples: Sequence[dict[str, Any]], parts: int) -> dict[str, Any]:
    """What the samples, the driver's own notes and the files on the disk say."""
    notes = [json.loads(line) for line in (out.parent / scale_world.PHASES).read_text().splitlines()]
    phases = {note["phase"]: note for note in notes if "seconds" in note}
    drawn = next(note for note in notes if note["phase"] == "draw_images" and "seconds" in note)
    metrics = {line["stage"]: line for line in map(json.loads, (out / "metrics.jsonl").read_text().splitlines())}
    pool, made = phases["work_off"], phases["work_off"]["made"]
    folder = out / "round-1"
    return {
        "memory": memory_at(samples, parts),
        "samples": samples[:: max(1, len(samples) // 200)],
        "phases": {**phases, "draw_images": drawn, "images_found": phases["draw_images"]},
        "driver": {
            "processor_seconds_a_shard": pool["processor_seconds"] / made,
            "seconds_not_waiting_a_shard": (pool["seconds"] - pool["waited"]) / made,
            "worker_waits_a_shard": metrics["pairs/waited"]["seconds"] / made,
            "worker_processor_seconds_a_shard": metrics["pairs/processor"]["seconds"] / made,
        },
        "files": files(folder),
        "funnel": json.loads((folder / "funnel.json").read_text()),
        "bytes": {name: (out / name).stat().st_size for name in ("manifest.json", "metrics.jsonl", "report.html")},
        "said": [line for line in (out / "log.txt").read_text().splitlines() if "a worker" in line],
    }


def memory_at(samples: Sequence[dict[str, Any]], parts: int) -> list[dict[str, Any]]:
    """Driver, largest worker and the rest of Ray when these shares of the shards were begun."""
    busy = [each for each in samples if each["workers"] and each["shards"]]
    chosen = [next((each for each in busy if each["shards"] >= parts * share), busy[-1]) for share in TOLD_AT]
    return [
        {
            "shards": each["shards"],
            "driver": each["driver"],
            "worker": max(each["workers"]),
            "ray": each["ray"],
        }
        for each in chosen
    ]


def files(folder: Path) -> dict[str, Any]:
    """How many in the shards and of what size, and the joined tables."""
    begun = time.monotonic()
    shards = [entry for shard in os.scandir(folder / "shards") for entry in os.scandir(shard.path)]
    sizes = sizes_by_name(shards)
    listing = time.monotonic() - begun
    return {
        "in_shards": len(shards),
        "bytes_in_shards": {name: sum(found) for name, found in sizes.items()},
        "largest_in_shards": max(max(found) for found in sizes.values()),
        "seconds_to_list": listing,
        "joined": {path.name: path.stat().st_size for path in sorted(folder.glob("*.parquet"))},
    }


def sizes_by_name(entries: Iterable[os.DirEntry[str]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for entry in entries:
        found.setdefault(entry.name, []).append(entry.stat().st_size)
    return found


def show(found: dict[str, Any]) -> None:
    mega = 1e6
    print(f"{found['images']:,} images in {found['shards']:,} shards of {found['shard']}, two workers on Ray")
    print(f"real: {found['real']}\nscripted: {found['scripted']}")
    print("failures: " + (f"{len(found['said'])} deaths of workers, the driver killed once"))
    print("\nresident MB when so many shards were begun")
    print(f"{'shards':>10}{'driver':>10}{'worker':>10}{'Ray':>10}")
    for each in found["memory"]:
        sizes = "".join(f"{each[name] / mega:>10,.0f}" for name in ("driver", "worker", "ray"))
        print(f"{each['shards']:>10,}{sizes}")
    print(f"\n{'phase':16}{'seconds':>10}{'processor':>10}{'MB before':>10}{'at most':>10}{'after':>10}")
    for name, each in found["phases"].items():
        sizes = "".join(f"{each[key] / mega:>10,.0f}" for key in ("rss_before", "rss_peak", "rss_after"))
        print(f"{name:16}{each['seconds']:>10,.1f}{each['processor_seconds']:>10,.1f}{sizes}")
    print()
    for name, seconds in {**found["driver"], **found["resume"]}.items():
        print(f"{name:34}{seconds:>10.4f} s")
    kept = found["files"]
    print(f"{'files in shards':34}{kept['in_shards']:>10,}")
    print(f"{'MB in shards':34}{sum(kept['bytes_in_shards'].values()) / mega:>10,.1f}")
    print(f"{'seconds to list them':34}{kept['seconds_to_list']:>10.2f}")
    for name, size in {**kept["joined"], **found["bytes"]}.items():
        print(f"{name:34}{size / mega:>10,.2f} MB")


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true", help=f"{SMALL:,} images")
    parser.add_argument("--images", type=int)
    parser.add_argument("--shard", type=int, default=500)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--far", nargs=2, type=Path, metavar="JSON")
    parser.add_argument("--drive", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.drive:
        out, count, shard = options.drive
        scale_world.drive(Path(out), int(count), int(shard))
        return
    if options.far:
        smaller, larger = (json.loads(path.read_text()) for path in options.far)
        found = scale_far.reckon(smaller, larger)
        scale_far.show(found)
    else:
        with tempfile.TemporaryDirectory(prefix="sena-scale-") as place:
            found = run(Path(place), options.images or (SMALL if options.small else WHOLE), options.shard)
        show(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
