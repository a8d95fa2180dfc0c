"""The recipe's `images` section: where pictures come from, and which of them are too big, too small or too strange."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from sena.config import Config

PictureFormat = Literal["JPEG", "PNG", "WEBP", "GIF"]


SourceKind = Literal["folder", "llava665k", "list", "parquet", "hf", "tars", "mini"]

_BELONGS = {
    "root": ("llava665k", "list"),
    "only": ("llava665k",),
    "column": ("list", "hf"),
    "split": ("hf",),
    "subset": ("hf",),
}
"""Which kinds a setting is for."""


class SourceConfig(Config):
    """One place that pictures come from."""

    name: str = Field(min_length=1)
    """What tables and reports call this source; no two sources share a name."""
    kind: SourceKind = "folder"
    """`folder` (with its sub-folders), `llava665k` (an annotation file and its folders), `list` (a JSONL or CSV file of
    paths, or a folder with metadata.jsonl or metadata.csv), `parquet` (a file or a folder of them), `hf` (a data set
    on the Hugging Face hub, or a folder that save_to_disk wrote), `tars` (WebDataset), or `mini`."""
    path: str = ""
    """The folder, file or hub name, or an address in an object store (`s3://bucket/photos`); `mini` needs none."""
    root: str = ""
    """For `llava665k` and `list`: where the paths in the file begin; empty means the file's own folder."""
    only: tuple[str, ...] = ()
    """For `llava665k`: the data sets that are used (coco, gqa, ocr_vqa, textvqa, vg); empty means all."""
    column: str = ""
    """For `list` and `hf`: the column of pictures, where it is not found by its name."""
    split: str = ""
    """For `hf`: the split; empty means train."""
    subset: str = ""
    """For `hf`: the configuration of a hub data set that has several."""

    @model_validator(mode="after")
    def _settings_fit_the_kind(self) -> SourceConfig:
        if self.kind != "mini" and not self.path:
            raise ValueError(f"source {self.name!r} of kind {self.kind} needs a path")
        for setting, kinds in _BELONGS.items():
            if getattr(self, setting) and self.kind not in kinds:
                wanted = " and ".join(kinds)
                raise ValueError(f"source {self.name!r}: {setting} belongs to kind {wanted} only, remove it")
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
    roots: dict[str, str] = Field(default_factory=dict)
    """For `llava665k`: folders that lie elsewhere, by the beginning of the paths that they stand for, such as
    `coco: /data/coco` or `vg/VG_100K: /disk2/genome`. The longest beginning counts."""
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


SHORT_ANSWER = "Answer the question using a single word or phrase."
"""What the annotations of LLaVA-665K put behind questions with short answers: an interface of that data."""


class GivenConfig(Config):
    """Questions that people wrote, in place of the model's own. Nothing is asked and nothing checked."""

    file: str = ""
    """A JSONL or CSV file with `image` and `question` (or `questions`) in each row, the picture called as its source
    calls it; only those pictures are drawn. Empty takes the questions that the sources bring themselves: the
    annotations of LLaVA-665K, or the rows of a list."""
    sources: tuple[str, ...] = ()
    """Only pictures of these sources are used, by their name or its last part (`ocr_vqa`); empty means all."""
    max_per_image: int = Field(default=1, ge=1, le=100)
    """The first so many different questions about a picture are used, in the order of the file."""
    suffix: str = SHORT_ANSWER
    """The request for a short answer that some questions end with."""
    strip: tuple[str, ...] = ()
    """Sources whose questions lose that suffix, named in the same way; `all` means every one."""

    @model_validator(mode="before")
    @classmethod
    def _a_file(cls, data: Any) -> Any:
        """`given: questions.jsonl` is short for `given: {file: questions.jsonl}`."""
        return {"file": data} if isinstance(data, str) else data
