"""CHAIR: which share of the things that a description names is not in the picture? (Rohrbach et al. 2018)

The truth of a picture is what COCO's instance labels and its five human captions name. A description is asked for
twice, with room for 64 and for 512 tokens; one that was cut loses its last, unfinished sentence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sena import text
from sena.errors import SenaError
from sena.evals import reading, words
from sena.evals.figures import Measured, Totals
from sena.evals.suite import About, Answer, Question, Suite, grouped

PROMPT = "Please describe this image in detail."
LIMITS = (64, 512)
PICTURES = 500
OWN_LIST = Path(__file__).with_name("coco_objects.txt")
ABOUT = About(
    name="chair",
    title="CHAIR: things in descriptions that are not in the picture",
    files=(
        ("coco/annotations/instances_val2014.json", "COCO's instance labels"),
        ("coco/annotations/captions_val2014.json", "COCO's captions"),
        ("coco/val2014/", "COCO's validation pictures of 2014"),
        ("chair/synonyms.txt", "optional: an object a line, its name first, then synonyms; else sena's own list"),
        ("chair/images.txt", f"optional: a picture's file name a line; else {PICTURES} of val2014, always the same"),
    ),
    source="cocodataset.org: annotations_trainval2014.zip, val2014.zip; github.com/LisaAnne/Hallucination, "
    "data/synonyms.txt",
    prompt=repr(PROMPT),
    metric="chair_i_512: share of named things that are not there, chair_s_512: share of descriptions with one, "
    "recall_512: share of the picture's things that are named, length_512: words; the same with 64 tokens",
)
# Words that name a COCO object by themselves, but not here; None is no object at all.
PHRASES: dict[str, str | None] = {
    "home plate": None,
    "train track": None,
    "bow tie": "tie",
    "toilet seat": "toilet",
    **{f"{age} {animal}": animal for age in ("baby", "adult") for animal in
       ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe")},
    "passenger jet": "jet",
    "passenger train": "train",
}  # fmt: skip


def load(root: Path) -> Suite:
    """Read truth, synonyms and the list of pictures. Raises SenaError for what is missing or unknown."""
    own = root / "chair" / "synonyms.txt"
    source = own if own.is_file() else OWN_LIST
    table = words.read_synonyms(source)
    names = vocabulary(table)
    images, truths, told = _truths(root, table, names, source)
    questions = [
        Question(f"{image}/{limit}", PROMPT, f"coco/val2014/{images[image]}", sorted(truths[image]), str(limit), limit)
        for image in images
        for limit in LIMITS
    ]
    listed = f"{own}" if source == own else f"sena's own list of {len(set(table.values()))} objects"
    return Suite(
        ABOUT,
        grouped(questions),
        lambda answers: count(answers, names),
        measure,
        reading.opener(root),
        reading.demand(root),
        notes={"synonyms": listed, "pictures": told},
    )


def vocabulary(table: Mapping[str, str]) -> dict[str, str | None]:
    """Words and phrases to objects, those of PHRASES among them."""
    return {**table, **{phrase: word if word is None else table.get(word) for phrase, word in PHRASES.items()}}


def _truths(
    root: Path, table: Mapping[str, str], names: Mapping[str, str | None], source: Path
) -> tuple[dict[int, str], dict[int, set[str]], str]:
    """File names and true objects by picture, and where the list of pictures is from."""
    labels = root / "coco/annotations/instances_val2014.json"
    captions = root / "coco/annotations/captions_val2014.json"
    instances = _parts(labels, images=("id", "file_name"), categories=("id", "name"), annotations=("image_id",))
    images, told = _pictures(root, {row["id"]: reading.inside(row["file_name"]) for row in instances["images"]})
    kinds = [row["name"] for row in instances["categories"]]
    ids = [row["id"] for row in instances["categories"]]
    kind_of = dict(zip(ids, words.objects(kinds, table, source), strict=True))
    truths: dict[int, set[str]] = {image: set() for image in images}
    for row in instances["annotations"]:
        if row["image_id"] in truths:
            truths[row["image_id"]].add(kind_of[row["category_id"]])
    for row in _parts(captions, annotations=("image_id", "caption"))["annotations"]:
        if row["image_id"] in truths:
            truths[row["image_id"]].update(named(row["caption"], names))
    return images, truths, told


def _parts(path: Path, **parts: tuple[str, ...]) -> dict[str, list[dict[str, Any]]]:
    """Lists of rows in one of COCO's files, with the columns that each needs."""
    data = reading.read_json(path)
    for name in parts:
        if not isinstance(data, dict) or name not in data:
            raise SenaError(f"{path} has no {name}: is this COCO's own file?")
    return {name: reading.checked(data[name], columns, path) for name, columns in parts.items()}


def _pictures(root: Path, known: dict[int, str]) -> tuple[dict[int, str], str]:
    """The user's list, or the pictures whose names come first when ordered by hash: the same 500 for everybody."""
    path = root / "chair" / "images.txt"
    if not path.is_file():
        drawn = sorted(known, key=lambda image: hashlib.sha256(known[image].encode()).hexdigest())[:PICTURES]
        return {image: known[image] for image in drawn}, f"{len(drawn)} of val2014, by the hash of their names"
    ids = {name: image for image, name in known.items()}
    wanted = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    lacks = [name for name in wanted if name not in ids]
    if lacks or not wanted:
        raise SenaError(f"{path} names {lacks[0] if lacks else 'nothing'}: write file names of val2014, one a line")
    return {ids[name]: name for name in wanted}, f"{len(wanted)} of {path}"


def named(description: str, names: Mapping[str, str | None]) -> list[str]:
    """The COCO objects that a description names. A seat beside a toilet is the toilet's, not a chair."""
    plain = description
    if "toilet" in words.words_of(description):
        plain = " ".join(word for word in words.words_of(description) if word not in ("seat", "seats"))
    return words.mentions(plain, names)


def whole_sentences(description: str, finished: bool) -> str:
    """A description that was cut at its limit, without the sentence in which that happened, unless it has no other."""
    said = text.sentences(description)
    if finished or len(said) < 2 or said[-1].endswith((".", "!", "?")):
        return description
    return " ".join(said[:-1])


def count(answers: Sequence[Answer], names: Mapping[str, str | None]) -> dict[str, float]:
    """Per limit: things named, those not there, descriptions with one, true things and those named, words."""
    counts: dict[str, float] = {}
    for answer in answers:
        said = whole_sentences(answer.text, answer.finished)
        found, truth = named(said, names), set(answer.truth)
        wrong = [thing for thing in found if thing not in truth]
        counts |= {
            f"named_{answer.group}": len(found),
            f"wrong_{answer.group}": len(wrong),
            f"spoiled_{answer.group}": float(bool(wrong)),
            f"described_{answer.group}": 1.0,
            f"true_{answer.group}": len(truth),
            f"covered_{answer.group}": len(truth & set(found)),
            f"words_{answer.group}": len(said.split()),
        }
    return counts


def measure(total: Totals) -> dict[str, Measured]:
    found: dict[str, Measured] = {}
    for limit in reversed(LIMITS):
        found |= {
            f"chair_i_{limit}": total.share(f"wrong_{limit}", f"named_{limit}"),
            f"chair_s_{limit}": total.share(f"spoiled_{limit}", f"described_{limit}"),
            f"recall_{limit}": total.share(f"covered_{limit}", f"true_{limit}"),
            f"length_{limit}": total.share(f"words_{limit}", f"described_{limit}"),
        }
    return found
