"""A shard on disk: its tables and, written last, the manifest that says it is whole. Then all shards as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from sena import files
from sena.data.make_pairs import Tables
from sena.data.run_stage import Dropped, Said, dropped_pair
from sena.errors import RunFolderError
from sena.records import Image, Pair, Row
from sena.runs import tables as parquet
from sena.runs.folder import RoundFolder

KINDS: dict[str, type] = {"questions": Row, "answers": Row, "pairs": Pair, "drops": Dropped, "replies": Said}


def split(images: Sequence[Image], size: int) -> list[Sequence[Image]]:
    """The round's images in id order, cut into shards of `size`: the same cut for every number of workers."""
    ordered = sorted(images, key=lambda image: image.id)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def write_shard(folder: Path, tables: Tables, images: Sequence[Image], plan: dict[str, Any]) -> None:
    """All tables, then the manifest. `plan` is the batch plan that the results depend on to the byte."""
    for name, kind in KINDS.items():
        parquet.write(folder / f"{name}.parquet", kind, getattr(tables, name))
    files.write_json(
        folder / "manifest.json",
        {
            "images": [image.id for image in images],
            "plan": plan,
            "rows": {field.name: len(getattr(tables, field.name)) for field in fields(Tables)},
        },
    )


def is_done(folder: Path, images: Sequence[Image]) -> bool:
    """Whether the shard is whole. Raises RunFolderError when it holds other images than it should."""
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        return False
    if files.read_json(manifest)["images"] != [image.id for image in images]:
        raise RunFolderError(f"{folder} holds other images than this round drew: remove that folder and run again")
    return True


def given_up(image: str, reason: str) -> Dropped:
    """An image that no worker could work on."""
    return Dropped(image, image, "image", "worker", reason)


def compact(
    round_folder: RoundFolder,
    numbers: Iterable[int],
    choose: Callable[[list[Pair]], list[Pair]] = list,
    lost: Sequence[Dropped] = (),
) -> dict[str, Any]:
    """Join the tables of the shards `numbers` in id order and count the rows on their way. Written once, and then only
    read.

    `choose` says what of all pairs, in id order, is learned from; the others are dropped as `over max_pairs`. `lost`
    are drops of no shard, since theirs failed.
    Returns the funnel: `drawn`, `questions`, `answers`, `pairs` and `dropped` (stage: reason: count).
    """
    folders = [round_folder.shard(number) for number in numbers]
    joined = {
        name: [record for folder in folders for record in parquet.read(folder / f"{name}.parquet", kind)]
        for name, kind in KINDS.items()
    }
    joined = {name: sorted(records, key=lambda record: record.id) for name, records in joined.items()}
    made, joined["pairs"] = joined["pairs"], choose(joined["pairs"])
    kept = {pair.id for pair in joined["pairs"]}
    over = [dropped_pair(pair, "choose", "over max_pairs") for pair in made if pair.id not in kept]
    joined["drops"] = sorted([*joined["drops"], *over, *lost], key=lambda drop: drop.id)
    for name, kind in KINDS.items():
        parquet.write(round_folder.table(name), kind, joined[name])
    funnel = count_rows(parquet.read(round_folder.images, Image), joined)
    files.write_json(round_folder.funnel, funnel)
    return funnel


def count_rows(images: Sequence[Image], tables: dict[str, list[Any]]) -> dict[str, Any]:
    """The funnel of one round, from its tables alone."""
    dropped: dict[str, Counter[str]] = {}
    for drop in tables["drops"]:
        dropped.setdefault(drop.stage, Counter())[drop.reason] += 1
    known = [said.stable for said in tables["replies"] if said.stable is not None]
    pairs = tables["pairs"]
    return {
        "images": len(images),
        "questions": len(tables["questions"]),
        "answers": len(tables["answers"]),
        "pairs": len(pairs),
        "pairs_by_kind": dict(sorted(Counter(pair.kind for pair in pairs).items())),
        "images_with_pairs": len({pair.image_id for pair in pairs}),
        "dropped": {stage: dict(sorted(reasons.items())) for stage, reasons in sorted(dropped.items())},
        "replies": len(tables["replies"]),
        "reencoded_differently": sum(not stable for stable in known) / len(known) if known else 0.0,
    }
