"""A miniature of LLaVA-665K of real photographs (they ship inside scikit-image), in the layouts that are met."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import skimage
from PIL import Image

SHORT = "Answer the question using a single word or phrase."
PHOTOS = Path(skimage.__file__).parent / "data"
FILES = {
    "coco/train2017/000000000001.jpg": "astronaut.png",
    "coco/train2017/000000000002.jpg": "chelsea.png",
    "coco/val2014/COCO_val2014_000000000003.jpg": "coffee.png",
    "gqa/images/1.jpg": "rocket.jpg",
    "gqa/images/2.jpg": "motorcycle_left.png",
    "ocr_vqa/images/1.jpg": "page.png",
    "ocr_vqa/images/2.jpg": "text.png",
    "ocr_vqa/images/3.jpg": "chessboard_RGB.png",
    "textvqa/train_images/a.jpg": "coins.png",
    "textvqa/train_images/b.jpg": "camera.png",
    "textvqa/train_images/c.jpg": "hubble_deep_field.jpg",
    "vg/VG_100K/1.jpg": "retina.jpg",
    "vg/VG_100K_2/1.jpg": "ihc.png",
}
"""What the annotation file calls them, and the photograph."""
PEERS = {"ocr_vqa": "ocrvqa", "textvqa": "texvqa", "coco/val2014": "coco2014/val2014"}
"""The folders on the pages of SENA and SeVa."""
OWN = {
    "coco/train2017": "disk1/mscoco/train",
    "coco/val2014": "disk1/mscoco/val",
    "gqa": "disk1/gqa",
    "ocr_vqa/images": "disk2/books",
    "textvqa": "disk2/text",
    "vg": "disk2/genome",
}
"""A layout of a user's own, which `images.roots` has to explain."""


def build(folder: Path, places: dict[str, str] | None = None) -> Path:
    """Write photographs and annotation file into `folder`; returns the latter. `places` renames folders on the disk."""
    for name, photo in FILES.items():
        put(folder, name, jpeg(photo), places)
    return annotate(folder, [*FILES, "ocr_vqa/images/1.jpg"])  # the real mix repeats pictures too


def jpeg(photo: str) -> bytes:
    """The photograph, small."""
    buffer = BytesIO()
    with Image.open(PHOTOS / photo) as image:
        image.thumbnail((96, 96))
        image.convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def put(folder: Path, name: str, data: bytes, places: dict[str, str] | None = None) -> Path:
    """A file at the place that its name has under `places`."""
    for beginning, place in (places or {}).items():
        if name.startswith(f"{beginning}/"):
            name = f"{place}/{name.removeprefix(f'{beginning}/')}"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return folder / name


def annotate(folder: Path, names: list[str]) -> Path:
    """Two questions for each name, the first asking for a short answer, and one record without a picture."""
    records: list[dict[str, object]] = [{"id": "text", "conversations": []}]
    for number, name in enumerate(names):
        turns = [
            {"from": "human", "value": f"<image>\nWhat is in picture {number}?\n{SHORT}"},
            {"from": "gpt", "value": "A thing"},
            {"from": "human", "value": f"Is picture {number} bright?"},
            {"from": "gpt", "value": "Yes"},
        ]
        records.append({"id": str(number), "image": name, "conversations": turns})
    file = folder / "llava_v1_5_mix665k.json"
    file.write_text(json.dumps(records))
    return file
