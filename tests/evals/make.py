"""Miniature copies of the benchmarks' files, made in code, and models that answer by rule."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from sena.evals.suite import Question, Record, Suite
from sena.records import Reply


def picture(path: Path, colour: tuple[int, int, int] = (200, 30, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16), colour).save(path)
    return path


def base64_picture(colour: tuple[int, int, int] = (200, 30, 30)) -> str:
    held = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(held, "PNG")
    return base64.b64encode(held.getvalue()).decode()


def write_json(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def write_lines(path: Path, rows: Sequence[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def answered(suite: Suite, say: Callable[[Question], str | Reply], count: int | None = None) -> list[Record]:
    """Every item answered by a rule, through the benchmark's own `ask` and `take`."""
    records = []
    for item in suite.items(count=count):
        replies = []
        for request, question in zip(suite.ask(item), item.questions, strict=True):
            said = say(question)
            replies.append(said if isinstance(said, Reply) else Reply(request.id, said))
        records.append(suite.take(item, replies))
    return records


def values(suite: Suite, records: Sequence[Record]) -> dict[str, float]:
    return {name: figure["value"] for name, figure in suite.summarise(records).items()}


def pope(root: Path) -> Path:
    """Two pictures, a yes and a no about each, the same in all three splits."""
    for split in ("random", "popular", "adversarial"):
        rows = [
            {"question_id": 1, "image": "a.jpg", "text": "Is there a dog in the image?", "label": "yes"},
            {"question_id": 2, "image": "a.jpg", "text": "Is there a cat in the image?", "label": "no"},
            {"question_id": 3, "image": "b.jpg", "text": "Is there a cup in the image?", "label": "yes"},
            {"question_id": 4, "image": "b.jpg", "text": "Is there a bus in the image?", "label": "no"},
        ]
        write_lines(root / "pope" / f"coco_pope_{split}.json", rows)
    for name in ("a", "b"):
        picture(root / "coco" / "val2014" / f"{name}.jpg")
    return root


def coco(root: Path) -> Path:
    """Two pictures: a dog and a person; a cup on a table, of which the table is named by captions alone."""
    kinds = ["person", "dog", "cup"]
    instances = {
        "images": [{"id": 1, "file_name": "one.jpg"}, {"id": 2, "file_name": "two.jpg"}],
        "categories": [{"id": number, "name": name} for number, name in enumerate(kinds, 1)],
        "annotations": [
            {"image_id": 1, "category_id": 1},
            {"image_id": 1, "category_id": 2},
            {"image_id": 2, "category_id": 3},
        ],
    }
    captions = {"annotations": [{"image_id": 1, "caption": "A man."}, {"image_id": 2, "caption": "A cup on a table."}]}
    write_json(root / "coco/annotations/instances_val2014.json", instances)
    write_json(root / "coco/annotations/captions_val2014.json", captions)
    for name in ("one", "two"):
        picture(root / "coco" / "val2014" / f"{name}.jpg")
    return root


def amber(root: Path) -> Path:
    folder = root / "amber"
    asked = [
        (1, "a.jpg", "Describe this image."),
        (2, "a.jpg", "Is the sky sunny in this image?"),
        (3, "a.jpg", "Is there a dog in this image?"),
        (4, "a.jpg", "Is there direct contact between the sun and sea?"),
    ]
    truth = [
        {"id": 1, "type": "generative", "truth": ["sky", "person", "sea"], "hallu": ["dog", "sun"]},
        {"id": 2, "type": "discriminative-attribute-state", "truth": "yes"},
        {"id": 3, "type": "discriminative-hallucination", "truth": "no"},
        {"id": 4, "type": "relation", "truth": "no"},
    ]
    relations = {"sky": [], "person": ["man", "woman"], "sea": ["water"], "dog": ["puppy"], "sun": [], "tree": []}
    write_json(folder / "query_all.json", [dict(zip(("id", "image", "query"), row, strict=True)) for row in asked])
    write_json(folder / "annotations.json", truth)
    write_json(folder / "relation.json", relations)
    (folder / "safe_words.txt").write_text("tree\n")
    picture(folder / "image" / "a.jpg")
    return root


def mme(root: Path) -> Path:
    """One picture in each kind, two in `existence`; some kinds keep questions and pictures in folders of their own."""
    from sena.evals.mme import COGNITION, PERCEPTION

    for kind in (*PERCEPTION, *COGNITION):
        for name in ("0001", "0002") if kind == "existence" else ("0001",):
            lines = f"Is it {name}? Please answer yes or no.\tYes\nIs it not {name}? Please answer yes or no.\tNo\n"
            folder = root / "mme" / kind
            split = kind in ("posters", "artwork")
            picture((folder / "images" if split else folder) / f"{name}.{'png' if split else 'jpg'}")
            path = (folder / "questions_answers_YN" if split else folder) / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(lines)
    return root


def table(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(rows[0])] + ["\t".join(str(value) for value in row.values()) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
