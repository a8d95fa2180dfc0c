"""Log-probabilities of all pairs under the round's starting model: made once, stored by pair id, trusted only by key.

reference/key.json             what the numbers depend on, written first
reference/part-00000.parquet   some pairs each, so that a kill costs one part
reference/manifest.json        written last: the parts are all there
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from sena import files
from sena.align import fingerprint, halving, modes, plain, ranks, sharing
from sena.align.ranks import Ranks
from sena.align.steps import batches
from sena.align.tree_forward import TreeForward, cut
from sena.errors import NonFiniteError, RunFolderError
from sena.models.vlm import VLM
from sena.records import Pair

PAIRS_PER_PART = 256
WHAT = {"model": "the model", "pairs": "the pairs", "processor": "the template or the processor", "dtype": "precision"}


class Reference(NamedTuple):
    """What the starting model gives to both answers of a pair: summed log-probabilities and token counts."""

    chosen: float
    rejected: float
    chosen_tokens: int
    rejected_tokens: int


def make_key(vlm: VLM, pairs: Sequence[Pair]) -> dict[str, str]:
    """What the numbers depend on. How pairs are batched is not in it: that moves them within rounding only."""
    return {
        "model": fingerprint.of_model(vlm),
        "pairs": fingerprint.of_pairs(pairs),
        "processor": fingerprint.of_processor(vlm),
        "dtype": str(vlm.dtype).removeprefix("torch."),
    }


def compute(
    vlm: VLM,
    pairs: Sequence[Pair],
    open_image: plain.OpenImage,
    folder: Path,
    pairs_per_batch: int,
    forward: plain.Forward = plain.log_probabilities,
    on_part: Callable[[int, int, int], None] = lambda done, total, halvings: None,
) -> dict[str, Reference]:
    """References of all pairs by id: read when `folder` holds them, else computed, going on after a kill.

    `on_part(done, total, halvings)` counts in pairs, and says how often a part's batches had to be halved for want of
    memory. Where a launcher left a process group, all its ranks call this, each takes a share of the pairs, and the
    first one writes.

    Raises RunFolderError when `folder` holds those of another model, other pairs or another template, NonFiniteError
    naming pairs whose log-probability is no number, and SenaError when a single pair is too much.
    """
    here = ranks.here()
    here.together(lambda: _claim(folder, make_key(vlm, pairs)) if here.leads else None)
    ordered = sorted(pairs, key=lambda pair: (pair.image_id, pair.id))
    parts = batches(ordered, PAIRS_PER_PART)
    picture = here.of_first(lambda: sharing.picture_tokens(vlm, pairs, open_image)) if pairs and here.size > 1 else 0
    task = _Task(vlm, open_image, pairs_per_batch, forward, here, picture)
    with modes.scoring(vlm):
        for numbers in batches(range(len(parts)), here.size):  # so many at a time that every rank has enough to do
            missing = here.of_first(lambda group=numbers: [n for n in group if not _part(folder, n).exists()])
            halvings = _fill(task, folder, {number: parts[number] for number in missing}) if missing else 0
            for number in numbers:
                done = min((number + 1) * PAIRS_PER_PART, len(ordered))
                on_part(done, len(ordered), halvings if number in missing else 0)
    manifest = {"parts": len(parts), "pairs": len(ordered)}
    here.together(lambda: files.write_json(folder / "manifest.json", manifest) if here.leads else None)
    return read(folder)


def read(folder: Path) -> dict[str, Reference]:
    """All references in a finished folder. Raises RunFolderError when it is not finished."""
    import pyarrow.parquet as pq

    if not (folder / "manifest.json").exists():
        raise RunFolderError(f"{folder} is not finished: run the same command again, it goes on")
    parts = files.read_json(folder / "manifest.json")["parts"]
    rows = [row for n in range(parts) for row in pq.read_table(_part(folder, n)).to_pylist()]
    return {row.pop("id"): Reference(**row) for row in rows}


def share_preferred(references: Mapping[str, Reference]) -> float:
    """Share of pairs whose chosen answer the reference already finds likelier (summed log-probability)."""
    if not references:
        return 0.0
    return sum(each.chosen > each.rejected for each in references.values()) / len(references)


def _claim(folder: Path, key: dict[str, str]) -> None:
    path = folder / "key.json"
    if not path.exists():
        files.write_json(path, key)
        return
    stored = files.read_json(path)
    stale = [word for name, word in WHAT.items() if stored.get(name) != key[name]]
    if stale:
        raise RunFolderError(
            f"{folder} holds the log-probabilities of another reference: "
            f"{' and '.join(stale)} changed since; remove the folder to compute them again"
        )


class _Task(NamedTuple):
    """What all parts are scored by. `size` is in pairs, `picture` about how many tokens one takes."""

    vlm: VLM
    open_image: plain.OpenImage
    size: int
    forward: plain.Forward
    ranks: Ranks
    picture: int


def _part(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.parquet"


def _fill(task: _Task, folder: Path, parts: Mapping[int, Sequence[Pair]]) -> int:
    """Write these parts. Returns how often batches had to be halved."""
    here, pairs = task.ranks, [pair for part in parts.values() for pair in part]
    is_tree = isinstance(task.forward, TreeForward)
    numbers = sharing.numbers_of(pairs, here.rank, here.size, task.picture, is_tree)
    told = here.gather(here.together(lambda: _score(task, [pairs[number] for number in numbers])))
    found = {name: Reference(*values) for scores, _ in told for name, values in scores.items()}
    bad = [pair.id for pair in pairs if not _is_finite(found[pair.id])]
    if bad:
        raise NonFiniteError(f"The reference gives no finite log-probability to {', '.join(bad)}: drop these pairs")
    here.together(lambda: _write_all(folder, parts, found) if here.leads else None)
    return max(halvings for _, halvings in told)


def _score(task: _Task, pairs: Sequence[Pair]) -> tuple[dict[str, Reference], int]:
    """This rank's references by pair id, and how often its batches had to be halved."""
    encoded = plain.encode_pairs(task.vlm, pairs, task.open_image)
    found, _, halvings = halving.fit(
        lambda halvings: cut(task.forward, encoded, task.size, halvings),
        lambda batches: _score_all(task.vlm, encoded, batches, task.forward),
        undo=lambda: None,
        mend="Scoring the reference runs out of memory with a single pair: give smaller pictures or shorter answers",
    )
    return found, halvings


def _score_all(
    vlm: VLM, part: Sequence[plain.Encoded], batches: halving.Batches, forward: plain.Forward
) -> dict[str, Reference]:
    found: dict[str, Reference] = {}
    for numbers in batches:
        scores = forward(vlm, [part[number] for number in numbers])
        columns = torch.stack([column.double() for column in scores]).T.tolist()
        for number, (chosen, rejected, first, second) in zip(numbers, columns, strict=True):
            found[part[number].pair.id] = Reference(chosen, rejected, int(first), int(second))
    return found


def _is_finite(found: Reference) -> bool:
    return abs(found.chosen) < float("inf") and abs(found.rejected) < float("inf")


def _write_all(folder: Path, parts: Mapping[int, Sequence[Pair]], found: Mapping[str, Reference]) -> None:
    for number, part in parts.items():
        _write(_part(folder, number), [{"id": pair.id, **found[pair.id]._asdict()} for pair in part])


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = [("id", pa.string()), ("chosen", pa.float64()), ("rejected", pa.float64())]
    schema = pa.schema([*fields, ("chosen_tokens", pa.int64()), ("rejected_tokens", pa.int64())])
    table = pa.Table.from_pylist(rows, schema=schema)
    files.write_with(path, lambda temporary: pq.write_table(table, temporary))
