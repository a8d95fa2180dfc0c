"""A shard on disk: its tables and, written last, the manifest that says it is whole. Then all shards as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, overload

from sena import files
from sena.data.funnel import COUNTED, Funnel
from sena.data.join import in_id_order
from sena.data.make_pairs import Tables
from sena.data.run_stage import Dropped, Said, dropped_pair
from sena.errors import RunFolderError
from sena.records import Image, Pair, Row
from sena.runs import tables as parquet
from sena.runs.folder import RoundFolder
from sena.runs.stored import Stored

KINDS: dict[str, type] = {"questions": Row, "answers": Row, "pairs": Pair, "drops": Dropped, "replies": Said}


@dataclass(frozen=True, slots=True)
class Parts(Sequence[Sequence[Image]]):
    """The round's images in id order, cut into shards of `size`. Each is read when it is asked for."""

    images: Sequence[Image]
    size: int

    def __len__(self) -> int:
        return -(-len(self.images) // self.size)

    @overload
    def __getitem__(self, key: int) -> Sequence[Image]: ...

    @overload
    def __getitem__(self, key: slice) -> list[Sequence[Image]]: ...

    def __getitem__(self, key: int | slice) -> Sequence[Image] | list[Sequence[Image]]:
        places = range(len(self))[key]
        if not isinstance(places, int):
            return [self[place] for place in places]
        return self.images[places * self.size : (places + 1) * self.size]


@dataclass(frozen=True, slots=True)
class Names(Sequence[str]):
    """The ids of a shard's images, read when somebody asks which they are."""

    parts: Parts
    shard: int

    def __len__(self) -> int:
        return min(self.parts.size, len(self.parts.images) - self.shard * self.parts.size)

    @overload
    def __getitem__(self, key: int) -> str: ...

    @overload
    def __getitem__(self, key: slice) -> list[str]: ...

    def __getitem__(self, key: int | slice) -> str | list[str]:
        return [image.id for image in self.parts[self.shard]][key]


def split(images: Sequence[Image], size: int) -> Parts:
    """The round's images cut into shards of `size`: the same cut for every number of workers. A table's are in id order
    as they lie; others are put so."""
    return Parts(images if isinstance(images, Stored) else sorted(images, key=lambda image: image.id), size)


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
    numbers: Sequence[int],
    choose: Callable[[list[Pair]], list[Pair]] | None = None,
    lost: Iterable[Dropped] = (),
) -> dict[str, Any]:
    """Join the tables of the shards `numbers` in id order and count the rows on their way. Written once, and then only
    read. Few rows are in memory at a time, but for all pairs where there is something to `choose`.

    `choose` says what of all pairs, in id order, is learned from; the others are dropped as `over max_pairs`. `lost`
    are drops of no shard, since theirs failed.
    Returns the funnel: `drawn`, `questions`, `answers`, `pairs` and `dropped` (stage: reason: count).
    """
    folders = [round_folder.shard(number) for number in numbers]
    aside, funnel, more = round_folder.path / ".join", Funnel(), list(lost)
    counted = dict(COUNTED)
    if choose is not None:
        counted.pop("pairs")
        chosen, over = _choose(folders, choose)
        funnel.add({"pairs": chosen})
        parquet.write(round_folder.table("pairs"), Pair, chosen)
        more = [*over, *more]
    for name in counted:
        extra = more if name == "drops" else []
        parts = _parts(folders, name, extra)
        parquet.write_arrow(round_folder.table(name), KINDS[name], in_id_order(parts, aside))
    for folder in folders:
        funnel.add({name: parquet.read(folder / f"{name}.parquet", kind) for name, kind in counted.items()})
    funnel.add({"drops": more})
    told = funnel.told(len(Stored(round_folder.images, Image)))
    files.write_json(round_folder.funnel, told)
    return told


def _parts(folders: Iterable[Path], name: str, more: Sequence[Any]) -> Iterator[Any]:
    """A table of all shards, then `more` records, as Arrow tables."""
    for folder in folders:
        yield parquet.read_arrow(folder / f"{name}.parquet", KINDS[name])
    yield parquet.arrow(KINDS[name], more)


def _choose(folders: Iterable[Path], choose: Callable[[list[Pair]], list[Pair]]) -> tuple[list[Pair], list[Dropped]]:
    """All shards' pairs in id order, those that are learned from and those that are not."""
    made = [pair for folder in folders for pair in parquet.read(folder / "pairs.parquet", Pair)]
    made.sort(key=lambda pair: pair.id)
    chosen = choose(made)
    kept = {pair.id for pair in chosen}
    return chosen, [dropped_pair(pair, "choose", "over max_pairs") for pair in made if pair.id not in kept]
