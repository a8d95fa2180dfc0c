"""What memory the listing and drawing of many pictures takes, whatever kind of source names them.

    python benchmarks/listing.py --images 100000 --json out.json

Tiny pictures are made in a temporary folder (about 4 KB of disk each) and named by an annotation file like that of
LLaVA-665K, a JSONL list, a tar and the folder itself. Each source is listed and drawn from in a process of its own, for
a few pictures and for many; told is the highest resident memory of that process, and what it grew by a picture.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from sena.images.config import ImagesConfig
from sena.images.guess import source_of
from sena.images.sample import draw
from sena.recipes import names

FEW, DRAWN = 1000, 64
KINDS = ("folder", "llava665k", "list", "tars")
TURNS = [
    {"from": who, "value": f"{text} " * 12}
    for who, text in (("human", "<image> What is in the picture?"), ("gpt", "A dog beside a tree, in the sun.")) * 3
]
"""About as long as the turns of LLaVA-665K: 1.5 KB a record."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=2, metavar=("KIND", "PATH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(*arguments.one)))
        return
    results = []
    for count in (FEW, arguments.images):
        with tempfile.TemporaryDirectory() as folder:
            results += [{"images": count, **each} for each in sources(Path(folder), count)]
    tell(results, arguments.images)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


def sources(folder: Path, count: int) -> Iterator[dict[str, Any]]:
    """Make the pictures and measure each kind of source, the process without any listing first."""
    paths = [f"coco/train2017/{number:012}.png" for number in range(count)]
    (folder / "coco/train2017").mkdir(parents=True)
    with (
        open(folder / "mix.json", "w") as mix,
        open(folder / "list.jsonl", "w") as listed,
        tarfile.open(folder / "all.tar", "w") as tar,
    ):
        mix.write("[")
        for number, path in enumerate(paths):
            data = picture(number)
            (folder / path).write_bytes(data)
            mix.write(("," if number else "") + json.dumps({"id": number, "image": path, "conversations": TURNS}))
            listed.write(json.dumps({"image": path}) + "\n")
            member = tarfile.TarInfo(path)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        mix.write("]")
    places = {"folder": "coco", "llava665k": "mix.json", "list": "list.jsonl", "tars": "all.tar"}
    for kind in ("nothing", *KINDS):
        place = str(folder / places.get(kind, ""))
        command = [sys.executable, __file__, "--one", kind, place]
        yield json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def picture(number: int) -> bytes:
    """8 x 8 pixels of a colour of its own."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (number >> 16 & 255, number >> 8 & 255, number & 255)).save(buffer, "PNG")
    return buffer.getvalue()


def measure(kind: str, path: str) -> dict[str, Any]:
    """List and draw in this process. `peak` is in bytes."""
    import pyarrow as pa  # what a source loads when it is first used, so that `nothing` has it too
    import pyarrow.compute as pc

    pc.sort_indices(pa.chunked_array([pa.array(["b", "a"])]))  # type: ignore[attr-defined]
    start = time.monotonic()
    found = 0
    if kind != "nothing":
        opened = names.sources(ImagesConfig.model_validate({"sources": [source_of(path)]}))
        found = sum(len(source.list()) for source in opened)
        draw(opened, DRAWN, seed=0, round=1)
    return {"kind": kind, "listed": found, "seconds": round(time.monotonic() - start, 2), "peak": peak()}


def peak() -> int:
    """The highest resident memory of this process so far, in bytes (Linux; getrusage also counts its parent's)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def tell(results: list[dict[str, Any]], many: int) -> None:
    """A table: what is above the process without a listing, in MB."""
    above = {(each["images"], each["kind"]): each for each in results}
    print(f"| source | MB for {FEW:,} | MB for {many:,} | bytes a picture more | seconds for {many:,} |")
    print("|---|---|---|---|---|")
    for kind in KINDS:
        few, lots = (above[count, kind]["peak"] - above[count, "nothing"]["peak"] for count in (FEW, many))
        more = (lots - few) / (many - FEW)
        print(f"| {kind} | {few / 1e6:.1f} | {lots / 1e6:.1f} | {more:.0f} | {above[many, kind]['seconds']:.1f} |")
    print(f"\nA process that lists nothing has {above[many, 'nothing']['peak'] / 1e6:.0f} MB.")


if __name__ == "__main__":
    main()
