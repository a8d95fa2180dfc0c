"""Questions that people wrote about the pictures: in a file of their own, or in the lists that name the pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from sena.errors import SenaError
from sena.images.config import GivenConfig
from sena.images.listed import COLUMNS, asked, rows
from sena.images.paths import Growing, Paths, in_order
from sena.images.sources import Reporting, Skipped, Source, is_text
from sena.records import Image


@runtime_checkable
class Asking(Protocol):
    """A source whose own file asks about its pictures."""

    def questions(self, paths: Collection[str]) -> Iterator[tuple[str, str]]:
        """Path and question, for those about one of `paths`, in the order of the file."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """One given question about a picture of the round. `id` is the picture's."""

    id: str
    number: int
    question: str


@dataclass(frozen=True, slots=True)
class Only:
    """A source cut down to some of its paths."""

    source: Source
    paths: Paths

    @property
    def name(self) -> str:
        return self.source.name

    def list(self) -> Sequence[str]:
        return self.paths

    def unlisted(self) -> Sequence[Skipped]:
        return self.source.unlisted() if isinstance(self.source, Reporting) else ()

    def read(self, path: str) -> bytes:
        return self.source.read(path)


@dataclass(frozen=True, slots=True)
class Matched:
    """Sources cut down to the pictures that a question file asks about, and how many of its rows ask about none."""

    sources: tuple[Source, ...]
    rows: int
    lost: int
    first_lost: str = ""

    def summary(self) -> str:
        """One sentence for a person."""
        pictures = sum(len(source.list()) for source in self.sources)
        text = f"{self.rows} given questions about {pictures} pictures"
        return f"{text}; {self.lost} rows of the file are about none, as {self.first_lost}" if self.lost else text


def match(sources: Sequence[Source], given: GivenConfig) -> Matched:
    """The sources with only those pictures that are asked about; all of them where questions come from the sources.

    A row's picture is called as its source calls it, or with the source's name (or its last part) before that.
    Raises SenaError when no picture is asked about, or a source brings no questions and no file does either.
    """
    sources = _named(sources, given.sources)
    if not given.file:
        silent = [source.name for source in sources if not isinstance(source, Asking)]
        if silent:
            raise SenaError(
                f"The source {silent[0]} brings no questions of its own: name a file in question.given.file"
            )
        return Matched(tuple(sources), 0, 0)
    file = _file(given)
    listed = {source.name: _as_paths(source.list()) for source in sources}
    growing = {source.name: Growing() for source in sources}
    count, lost, first_lost = 0, 0, ""
    for key, questions in _rows(file):
        count += len(questions)
        found = [(name, path) for name, path in _readings(key, listed) if path in listed[name]]
        for name, path in found:
            growing[name].add(path)
        if not found:
            lost += 1
            first_lost = first_lost or key
    kept = tuple(Only(source, paths) for source in sources if len(paths := growing[source.name].paths()))
    if not kept:
        raise _no_match(file, first_lost, listed)
    return Matched(kept, count, lost, first_lost)


def questions_about(images: Iterable[Image], sources: Sequence[Source], given: GivenConfig) -> list[Asked]:
    """The given questions about the round's pictures, `given.max_per_image` each at most, sorted by picture and number.

    Only these are held in memory. A picture without any has none in the result.
    """
    ids: dict[str, dict[str, str]] = {source.name: {} for source in sources}
    for image in images:
        ids[image.source][image.path] = image.id
    found: dict[str, list[str]] = defaultdict(list)
    for name, path, question in _all(ids, sources, given):
        question = _stripped(question, name, given)
        several = found[ids[name][path]]
        if question and question not in several and len(several) < given.max_per_image:
            several.append(question)
    return [
        Asked(image_id, number, question)
        for image_id, several in sorted(found.items())
        for number, question in enumerate(several)
    ]


def by_picture(asked: Iterable[Asked]) -> dict[str, tuple[str, ...]]:
    """The questions of each picture by its id, in the order of their numbers."""
    found: dict[str, list[Asked]] = defaultdict(list)
    for each in asked:
        found[each.id].append(each)
    return {
        image_id: tuple(each.question for each in sorted(several, key=lambda each: each.number))
        for image_id, several in found.items()
    }


def _all(
    ids: dict[str, dict[str, str]], sources: Sequence[Source], given: GivenConfig
) -> Iterator[tuple[str, str, str]]:
    """Source, path and question of every question about a picture that is drawn."""
    if not given.file:
        for source in sources:
            if isinstance(source, Asking) and ids[source.name]:
                yield from ((source.name, path, question) for path, question in source.questions(ids[source.name]))
        return
    for key, questions in _rows(_file(given)):
        for name, path in _readings(key, ids):
            if path in ids[name]:
                yield from ((name, path, question) for question in questions)


def _named(sources: Sequence[Source], wanted: Sequence[str]) -> Sequence[Source]:
    if not wanted:
        return sources
    lost = [name for name in wanted if not any(_is_called(source.name, (name,)) for source in sources)]
    if lost:
        there = ", ".join(source.name for source in sources)
        raise SenaError(f"question.given.sources: no source is called {lost[0]}; there are {there}")
    return [source for source in sources if _is_called(source.name, wanted)]


def _is_called(source: str, names: Sequence[str]) -> bool:
    return source in names or source.rpartition("/")[2] in names


def _stripped(question: str, source: str, given: GivenConfig) -> str:
    strips = "all" in given.strip or _is_called(source, given.strip)
    return question.removesuffix(given.suffix).strip() if strips else question


def _readings(key: str, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """What a row's picture may mean: for each source the path that it would have there."""
    for name in names:
        yield name, key
        for prefix in {name, name.rpartition("/")[2]}:
            if key.startswith(f"{prefix}/"):
                yield name, key[len(prefix) + 1 :]


def _file(given: GivenConfig) -> Path:
    file = Path(given.file).expanduser()
    if not file.is_file():
        raise SenaError(f"There is no file {given.file}: change question.given.file")
    return file


def _rows(file: Path) -> Iterator[tuple[str, list[str]]]:
    """The picture and the questions of each row. Raises SenaError naming the row that lacks one of them."""
    for number, row in rows(file):
        image = next((row[column] for column in COLUMNS if column in row), None)
        questions = asked(file, number, row)
        if not isinstance(image, str) or not image or not is_text(image):
            raise SenaError(f"{file}, row {number}: it needs `image`, the path of a picture as its source calls it")
        if not questions:
            raise SenaError(f"{file}, row {number}: it needs `question`, a text")
        yield image.removeprefix("./"), questions


def _as_paths(paths: Sequence[str]) -> Collection[str]:
    return paths if isinstance(paths, Paths) else Paths.of(in_order(paths))


def _no_match(file: Path, lost: str, listed: dict[str, Collection[str]]) -> SenaError:
    if not lost:
        return SenaError(f'{file} asks nothing: a row looks like {{"image": "1.jpg", "question": "What is it?"}}')
    name, paths = next(iter(listed.items()))
    return SenaError(
        f"{file} asks about {lost} and others, and no source has any of them ({name} has {next(iter(paths))}): "
        f"call the pictures as their source does"
    )
