"""The recipe's `images` section: where pictures come from, and which of them are too big, too small or too strange."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from sena.config import Config

PictureFormat = Literal["JPEG", "PNG", "WEBP", "GIF"]


class SourceConfig(Config):
    """One place that pictures come from."""

    name: str = Field(min_length=1)
    """What tables and reports call this source; no two sources share a name."""
    kind: Literal["folder", "llava665k", "parquet", "mini"] = "folder"
    """`folder` (with its sub-folders), `llava665k` (an annotation file and its folders), `parquet`, or `mini`."""
    path: str = ""
    """The folder, the annotation file of `llava665k`, or the Parquet file that holds pictures; `mini` needs none."""
    root: str = ""
    """Only for `llava665k`: the folder that holds coco, gqa, ...; empty means the annotation file's own folder."""

    @model_validator(mode="after")
    def _paths_fit_the_kind(self) -> SourceConfig:
        if self.kind != "mini" and not self.path:
            raise ValueError(f"source {self.name!r} of kind {self.kind} needs a path")
        if self.root and self.kind != "llava665k":
            raise ValueError(f"source {self.name!r}: root belongs to kind llava665k only, remove it")
        return self


class LimitsConfig(Config):
    """What a picture may be. One outside these limits is skipped and listed, never shrunk in silence."""

    max_bytes: int = Field(default=50_000_000, ge=1)
    """Largest file that is read, in bytes."""
    max_pixels: int = Field(default=100_000_000, ge=1, le=178_000_000)
    """Largest width x height that is decoded, told from the header. Pillow itself stops at 178.9 million."""
    max_side: int = Field(default=16_384, ge=1)
    """Longest side in pixels: a thin strip has few pixels, but the square that it is padded to has many."""
    min_side: int = Field(default=8, ge=1)
    """Shortest side in pixels."""
    formats: tuple[PictureFormat, ...] = Field(default=("JPEG", "PNG", "WEBP", "GIF"), min_length=1)
    """Formats that are decoded. Content decides, not the file name; a moving picture gives its first frame."""


class ImagesConfig(Config):
    """Sources, drawn from in equal parts, and limits that hold for all of them."""

    sources: tuple[SourceConfig, ...] = Field(min_length=1)
    """Where pictures come from."""
    limits: LimitsConfig = LimitsConfig()
    """What a picture may be."""

    @field_validator("sources")
    @classmethod
    def _names_differ(cls, sources: tuple[SourceConfig, ...]) -> tuple[SourceConfig, ...]:
        names = [source.name for source in sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"more than one source is called {', '.join(twice)}: give each its own name")
        return sources
