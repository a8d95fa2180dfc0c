"""`sena check`: how many pictures there are, and with `--all-images` what each of them is.

Pictures are opened one by one. What is found goes to a file at once; held are counts, the first few of each kind, and
8 bytes a picture, by which repeated ones are told.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np

from sena import files, ids
from sena.errors import ImageError
from sena.images.config import LimitsConfig, PictureFormat
from sena.images.decode import decode, format_of
from sena.images.sources import Placing, Reporting, Skipped, Source
from sena.progress import Reporter
from sena.text import printable

SHOWN = 3
"""Pictures of each kind that are named on the screen; the file names all."""
NOTED = 10
"""Folders and rows of each kind that a listing left out and that are named."""
LIST = Path("check-images.jsonl")
"""Where the whole list goes, in the folder that the command is typed in."""
REPEATED, MISNAMED = "repeated", "of another format than its name says"
USABLE = (MISNAMED, REPEATED)
"""What is told of pictures that can be used all the same; of repeated ones a run draws one."""
ENDINGS: dict[PictureFormat, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "GIF": (".gif",),
}


@dataclass(slots=True)
class Survey:
    """What was found so far."""

    limits: LimitsConfig
    out: TextIO
    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, list[str]] = field(default_factory=dict)

    def note(self, found: Skipped) -> None:
        self.counts[found.reason] += 1
        several = self.first.setdefault(found.reason, [])
        if len(several) < SHOWN:
            several.append(f"{found.source}: {found.path}" + (f" ({found.detail})" if found.detail else ""))
        self.write(found)

    def write(self, found: Skipped) -> None:
        self.out.write(json.dumps(asdict(found)) + "\n")

    def look(self, source: Source, path: str) -> int:
        """The first 64 bits of the picture's hash, or 0 when it cannot be used."""
        try:
            data = source.read(path)
            decode(data, self.limits)
        except ImageError as error:
            detail = error.detail
            if error.reason == "missing" and isinstance(source, Placing):
                detail = f"it belongs at {source.place(path)}"
            self.note(Skipped(source.name, path, error.reason, detail))
            return 0
        kind, ending = format_of(data), os.path.splitext(path)[1].lower()
        if ending and kind and ending not in ENDINGS[kind]:
            self.note(Skipped(source.name, path, MISNAMED, f"a {kind}"))
        return int(ids.of_bytes(data), 16)


def listed(source: Source, reporter: Reporter) -> list[str]:
    """Says how many pictures a source has. What its listing left out comes back as notes, the first few of each reason.

    Raises SenaError when it has none.
    """
    reporter.say(f"images: {len(source.list())} in {source.name}")
    by_reason: dict[str, list[Skipped]] = {}
    for each in source.unlisted() if isinstance(source, Reporting) else ():
        by_reason.setdefault(each.reason, []).append(each)
    notes: list[str] = []
    for reason, several in by_reason.items():
        notes += [
            f"{each.source}: {each.path}: {reason}" + (f": {each.detail}" if each.detail else "")
            for each in several[:NOTED]
        ]
        if len(several) > NOTED:
            notes.append(f"{source.name}: {len(several) - NOTED} more: {reason}")
    return notes


def open_all(sources: Sequence[Source], limits: LimitsConfig, reporter: Reporter, out: Path = LIST) -> Counter[str]:
    """Open every picture of every source; print what was found and write all of it to `out`, if there is anything.

    Returns how many pictures are what: the reasons of `ImageError`, `REPEATED` and `MISNAMED`.
    """
    found: list[Survey] = []

    def write(path: Path) -> None:
        with open(path, "w", encoding="utf-8") as handle:
            survey = Survey(limits, handle)
            for source in sources:
                for left_out in source.unlisted() if isinstance(source, Reporting) else ():
                    survey.write(left_out)
            _repeats(sources, [_open(source, survey, reporter) for source in sources], survey)
            found.append(survey)

    files.write_with(out, write)
    if not out.stat().st_size:
        out.unlink()
    _tell(found[0], out, reporter)
    return found[0].counts


def _open(source: Source, survey: Survey, reporter: Reporter) -> np.ndarray:
    """The hashes of a source's pictures in the order of its list, 0 for those that cannot be used [N]."""
    before, paths = survey.counts.copy(), source.list()
    hashes = np.zeros(len(paths), dtype=np.uint64)
    with reporter.stage(f"opening {source.name}", len(paths)) as task:
        for place, path in enumerate(paths):
            hashes[place] = survey.look(source, path)
            task.advance()
    bad = {why: survey.counts[why] - before[why] for why in survey.counts if why not in USABLE}
    missing, usable = bad.get("missing", 0), len(paths) - sum(bad.values())
    reporter.say(f"images of {source.name}: {len(paths)} listed, {len(paths) - missing} there, {usable} usable")
    return hashes


def _repeats(sources: Sequence[Source], hashes: Sequence[np.ndarray], survey: Survey) -> None:
    """Note every picture whose bytes came before, in this source or an earlier one."""
    starts = np.cumsum([0, *(len(each) for each in hashes)])
    every = np.concatenate([*hashes, np.zeros(0, dtype=np.uint64)])
    order = np.argsort(every, kind="stable")
    ranked = every[order]
    for place in np.flatnonzero((ranked[1:] == ranked[:-1]) & (ranked[1:] != 0)):
        (one, first), (other, again) = (_at(sources, starts, int(order[each])) for each in (place, place + 1))
        survey.note(Skipped(other, again, REPEATED, f"the same bytes as {one}: {first}"))


def _at(sources: Sequence[Source], starts: np.ndarray, place: int) -> tuple[str, str]:
    """Source and path of a place in the row of all pictures."""
    number = int(np.searchsorted(starts, place, side="right")) - 1
    return sources[number].name, sources[number].list()[place - int(starts[number])]


def _tell(survey: Survey, out: Path, reporter: Reporter) -> None:
    if not survey.counts:
        reporter.say("All pictures can be used, and none comes twice.")
        return
    for reason, count in sorted(survey.counts.items()):
        reporter.say(f"{count} {reason}:")
        for each in survey.first[reason]:
            reporter.say(f"  {printable(each)}")
        if count > SHOWN:
            reporter.say(f"  and {count - SHOWN} more")
    reporter.say(f"All of them are listed in {out}")
