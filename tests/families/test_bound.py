"""`model.picture_tokens` on the families that can keep it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from PIL import Image

from sena.errors import ModelError
from sena.models import encode, unknown
from sena.models.bound import bound
from sena.models.load import load, save
from sena.models.vlm import VLM
from sena.runs.folder import RunFolder
from tests.families.test_families import RECIPE, evolve, write_pictures
from tests.families.tiny import TINY

SIZES = [(640, 480), (480, 640), (300, 200), (30, 30)]


def tiny(name: str, folder: Path) -> VLM:
    made = TINY[name]()
    made.model.save_pretrained(folder)
    made.processor.save_pretrained(folder)
    return load(str(folder), "float32", "cpu")


def count(vlm: VLM, size: tuple[int, int]) -> int:
    pixels = encode.process(vlm, Image.linear_gradient("L").resize(size).convert("RGB"))
    return encode.prompt_ids(vlm, "Hi", pixels).count(vlm.image_id)


BOUNDS = [
    *(("Qwen2-VL", 4), ("Qwen2.5-VL", 4), ("Qwen3-VL", 5), ("InternVL3", 12)),
    *(("LLaVA-NeXT", 70), ("LLaVA-OneVision", 60), ("Idefics3", 7), ("SmolVLM", 20)),
    *(("Mistral3", 20), ("Pixtral", 20)),
]


@pytest.mark.parametrize(("name", "most"), BOUNDS)
def test_no_picture_takes_more(name: str, most: int, tmp_path: Path) -> None:
    """InternVL3's tiles have 4 tokens here: 12 are two tiles and their thumbnail. What is saved keeps to it, and gives
    its model as many features as there are places for them."""
    vlm = tiny(name, tmp_path / "base")
    before = [count(vlm, size) for size in SIZES]
    bound(vlm, most)
    after = [count(vlm, size) for size in SIZES]
    assert max(before) > most >= max(after) >= most / 2
    save(vlm, tmp_path / "bound")
    again = load(str(tmp_path / "bound"), "float32", "cpu")
    assert [count(again, size) for size in SIZES] == after
    assert not unknown.fault(again)


@pytest.mark.parametrize("name", ["Qwen3-VL", "InternVL3", "LLaVA-NeXT", "SmolVLM", "Pixtral"])
def test_a_wide_bound_changes_nothing(name: str, tmp_path: Path) -> None:
    vlm = tiny(name, tmp_path)
    before = vlm.processor.image_processor.to_dict()
    for most in (None, 100_000):
        bound(vlm, most)
        assert vlm.processor.image_processor.to_dict() == before


@pytest.mark.parametrize("name", ["LLaVA-1.5", "Gemma 3", "PaliGemma 2"])
def test_one_number_for_all_cannot_be_bound(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"every picture the same number .* leave model.picture_tokens out"):
        bound(tiny(name, tmp_path), 10)


@pytest.mark.parametrize(("name", "least"), [("InternVL3", 4), ("SmolVLM", 4), ("LLaVA-NeXT", 16 + 32 + 4)])
def test_less_than_the_least_is_told(name: str, least: int, tmp_path: Path) -> None:
    """LLaVA-NeXT shows at least two tiles of 4 by 4, with 4 marks behind their rows, beside the small picture."""
    with pytest.raises(ModelError, match=f"at least {least} tokens"):
        bound(tiny(name, tmp_path), 3)


@pytest.mark.slow
def test_a_run_keeps_it_and_leaves_it_to_its_models(tmp_path: Path) -> None:
    made = TINY["Qwen2.5-VL"]()
    made.model.save_pretrained(tmp_path / "base")
    made.processor.save_pretrained(tmp_path / "base")
    write_pictures(tmp_path / "photos")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**RECIPE, "model": {"picture_tokens": 4}}))
    evolve(tmp_path, tmp_path / "base", "run")
    vlm = load(str(RunFolder(tmp_path / "run").round(1).model), "float32", "cpu")
    assert [count(vlm, size) for size in SIZES[:2]] == [2, 2]  # a bound of 4 lets two tokens stand side by side
