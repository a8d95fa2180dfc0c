"""What `--images X` means: the kind of source is told by what X is (docs/data.md has the rule as a table)."""

from __future__ import annotations

from itertools import islice
from pathlib import Path, PurePath, PurePosixPath

from sena import stores
from sena.images.config import SourceKind
from sena.images.hub import is_saved
from sena.images.listed import metadata_of
from sena.images.tars import ENDINGS

FIRST = 1000
"""Objects that tell what a store holds: one request."""
BY_ENDING: dict[str, SourceKind] = {
    ".json": "llava665k",
    ".jsonl": "list",
    ".csv": "list",
    ".parquet": "parquet",
    ".tar": "tars",
}


def source_of(images: str) -> dict[str, str]:
    """The settings of the source that the text names: `name`, `kind` and `path`. Nothing is opened.

    Raises SenaError for an address whose store says no.
    """
    if images == "mini":
        return {"name": "mini", "kind": "mini"}
    if images.startswith("hf:"):
        path = images.removeprefix("hf:").strip("/")
        return {"name": path.rpartition("/")[2] or "hf", "kind": "hf", "path": path}
    if stores.is_address(images):
        where = stores.address(images)
        name = PurePosixPath(where.partition("://")[2])
        return {"name": name.stem, "kind": _kind_there(where, name), "path": where}
    path = Path(images).expanduser()
    kind = kind_of(path)
    name = path.stem if path.suffix and not path.is_dir() else path.resolve().name
    return {"name": name or "images", "kind": kind, "path": str(path)}


def kind_of(path: Path) -> SourceKind:
    """A file by its ending. A folder by what lies in it: marks of `save_to_disk`, a list, a tar, a Parquet
    file, in this order; else it is one of pictures."""
    if not path.is_dir():
        return _by_ending(path)
    if is_saved(path):
        return "hf"
    if metadata_of(path):
        return "list"
    try:
        endings = {each.suffix.lower() for each in path.iterdir() if not each.name.startswith(".")}
    except OSError:  # told when it is opened
        return "folder"
    return "tars" if ".tar" in endings else "parquet" if ".parquet" in endings else "folder"


def _kind_there(where: str, name: PurePath) -> SourceKind:
    """The same for an address: by its ending, or by the first objects right below it."""
    kind = _by_ending(name)
    below = (each.name for each in islice(stores.listed(where), FIRST)) if kind == "folder" else ()
    endings = {PurePath(each).suffix.lower() for each in below if "/" not in each}
    return "tars" if ".tar" in endings else "parquet" if ".parquet" in endings else kind


def _by_ending(path: PurePath) -> SourceKind:
    return "tars" if path.name.lower().endswith(ENDINGS) else BY_ENDING.get(path.suffix.lower(), "folder")
