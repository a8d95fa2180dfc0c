"""Pairs in the file layouts of other trainers. One module a layout; a name becomes a module here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sena.formats import llama_factory, llava, released, swift, trl
from sena.formats.example import Example, Json, ReadImage
from sena.formats.folder import Fill

__all__ = ["EXPORTS", "IMPORTS", "Export", "Fill", "Import", "ReadImage"]


class Export(Protocol):
    """A layout that pairs can be written in."""

    @property
    def TITLE(self) -> str: ...

    @property
    def write(self) -> Fill: ...


class Import(Protocol):
    """A layout of JSON records. Parquet has only one, `trl`, and is told by the file's end."""

    @property
    def TITLE(self) -> str: ...

    @property
    def COLUMNS(self) -> tuple[str, ...]: ...

    def parse(self, record: Json, where: str) -> Example: ...


EXPORTS: Mapping[str, Export] = {"trl": trl, "llama-factory": llama_factory, "ms-swift": swift, "llava": llava}
IMPORTS: tuple[Import, ...] = (llava, llama_factory, swift, released)
