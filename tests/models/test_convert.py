"""The published layout of LLaVA-1.5 becomes a model that computes the same, told by a forward written apart."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sena.errors import ModelError, SenaError
from sena.models import convert as converting
from sena.models import encode
from sena.models.convert import convert
from sena.models.load import load
from sena.models.template import VICUNA_V1_SYSTEM
from tests.models import original as made
from tests.models.original import Original


@pytest.fixture(scope="module")
def parts() -> Original:
    return Original()


def picture() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def assert_computes_the_same(folder: Path, parts: Original) -> None:
    """Prompt and picture through the loaded model, against ids and logits that nothing of sena had a hand in."""
    vlm = load(str(folder), dtype="float32", device="cpu")
    pixels = encode.process(vlm, picture())
    before = [1, *made.encode(f"{VICUNA_V1_SYSTEM} USER: ")]
    after = made.encode("\nWhat is the thing? ASSISTANT:")
    ids = encode.prompt_ids(vlm, "What is the thing?", pixels)
    assert ids == [*before, *[vlm.image_id] * 4, *after]
    with torch.no_grad():
        found = vlm.model(input_ids=torch.tensor([ids]), **pixels.tensors).logits[0]
    wanted = parts.logits(before, pixels.tensors["pixel_values"], after)
    assert found.shape[1] % 64 == 0
    assert float((found[:, : wanted.shape[1]] - wanted).abs().max()) < 1e-4 * float(wanted.abs().max())


@pytest.mark.parametrize(("kind", "count"), [("bin", 1), ("safetensors", 2)])
def test_the_tower_is_taken_from_where_it_is_kept(parts: Original, tmp_path: Path, kind: str, count: int) -> None:
    tower = made.write_tower(parts, tmp_path / "clip", kind)
    source = made.write(parts, tmp_path / "llava", str(tower), parts.weights(with_eye=False), kind, count)
    told: list[str] = []
    out = convert(str(source), tmp_path / "out", say=told.append)
    assert_computes_the_same(out, parts)
    assert len(told) == count + 1
    assert not [path for path in out.iterdir() if path.suffix not in {".safetensors", ".json", ".jinja"}]


def test_a_tower_inside_the_checkpoint_wins(parts: Original, tmp_path: Path) -> None:
    """As DeepSpeed saves it: the tower elsewhere, whose shape is asked for, may hold other weights."""
    tower = made.write_tower(Original(seed=1), tmp_path / "clip")
    source = made.write(parts, tmp_path / "llava", "gone", parts.weights(with_eye=True), "safetensors")
    assert_computes_the_same(convert(str(source), tmp_path / "out", str(tower)), parts)


def test_a_missing_head_is_the_embedding(tmp_path: Path) -> None:
    parts = Original()
    weights = parts.weights(with_eye=False)
    del weights["lm_head.weight"]
    parts.tongue.lm_head.weight = parts.tongue.get_input_embeddings().weight
    tower = made.write_tower(parts, tmp_path / "clip")
    source = made.write(parts, tmp_path / "llava", str(tower), weights, "safetensors", 2)
    assert_computes_the_same(convert(str(source), tmp_path / "out"), parts)


def test_pictures_are_padded_whoever_asks(parts: Original, tmp_path: Path) -> None:
    """The saved processor alone gives what sena sees: a square, its border in the mean colour."""
    out = whole(parts, tmp_path)
    vlm = load(str(out), dtype="float32", device="cpu")
    alone = vlm.processor.image_processor(images=[picture()], return_tensors="pt")["pixel_values"]
    assert torch.equal(alone, encode.process(vlm, picture()).tensors["pixel_values"])


@pytest.mark.parametrize(
    "text", ["What is the thing?", " two  blanks ", "the USER wore a re", "\nnew\tline", "größer 日本 🎉", "a", ""]
)
def test_the_tokenizer_is_sentencepiece_s(parts: Original, tmp_path: Path, text: str) -> None:
    made.write_tokenizer(tmp_path)
    tokenizer = converting.original.make_tokenizer(tmp_path)
    found = tokenizer(text)["input_ids"]
    assert found == [1, *(made.encode(text) if text else [])]
    assert tokenizer.decode(found, skip_special_tokens=True) == text
    assert tokenizer.convert_tokens_to_ids(["<image>", "<pad>"]) == [len(made.pieces()), len(made.pieces()) + 1]


def test_new_rows_are_the_mean_of_the_old(parts: Original) -> None:
    grown = converting.grow(torch.tensor([[1.0, 2.0], [3.0, 6.0]]), 4)
    assert grown.tolist() == [[1, 2], [3, 6], [2, 4], [2, 4]]


def test_the_cache_takes_what_has_no_place(parts: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = made.write(parts, tmp_path / "llava", "gone", parts.weights(with_eye=True), "safetensors")
    tower = str(made.write_tower(parts, tmp_path / "clip"))
    out = convert(str(source), tower=tower)
    assert out.is_relative_to(tmp_path / "cache" / "sena")
    assert convert(str(source), tower=tower) == out  # made anew, in the same place
    assert_computes_the_same(out, parts)


def whole(parts: Original, place: Path) -> Path:
    tower = made.write_tower(parts, place / "clip")
    source = made.write(parts, place / "llava", str(tower), parts.weights(with_eye=False), "safetensors")
    return convert(str(source), place / "out")


def test_load_says_what_to_type(parts: Original, tmp_path: Path) -> None:
    source = made.write(parts, tmp_path / "llava", "gone", {}, "safetensors")
    with pytest.raises(ModelError, match=f"original layout: type `sena convert {source}`"):
        load(str(source))


def test_a_missing_tower_is_one_sentence(parts: Original, tmp_path: Path) -> None:
    source = made.write(parts, tmp_path / "llava", "openai/gone", parts.weights(with_eye=False), "safetensors")
    with pytest.raises(ModelError, match=r"leaves its vision tower to openai/gone.*--tower"):
        convert(str(source), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["llava"]


def test_a_pickle_that_runs_code_is_refused(parts: Original, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "trapped"),)

    tower = made.write_tower(parts, tmp_path / "clip")
    source = made.write(parts, tmp_path / "llava", str(tower), parts.weights(with_eye=False), "bin", 2)
    torch.save({"a": Trap()}, source / "pytorch_model-00001-of-00002.bin")
    with pytest.raises(ModelError, match=r"00001-of-00002.bin holds more than weights"):
        convert(str(source), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip", "llava"]


def test_adapters_alone_are_refused(parts: Original, tmp_path: Path) -> None:
    source = made.write(parts, tmp_path / "llava", "gone", {}, "safetensors")
    (source / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="holds LoRA adapters alone: merge them first"):
        convert(str(source), tmp_path / "out")


@pytest.mark.parametrize(
    ("key", "value"),
    [("mm_projector_type", "linear"), ("image_aspect_ratio", "anyres"), ("architectures", ["LlavaMistralForCausalLM"])],
)
def test_other_llavas_are_named(parts: Original, tmp_path: Path, key: str, value: object) -> None:
    source = made.write(parts, tmp_path / "llava", "gone", parts.weights(with_eye=True), "safetensors")
    (source / "config.json").write_text(json.dumps({**parts.config("gone"), key: value}))
    with pytest.raises(ModelError, match=f"is no LLaVA-1.5 \\({key} is"):
        convert(str(source), tmp_path / "out")


def test_missing_and_odd_weights_are_named(parts: Original, tmp_path: Path) -> None:
    tower = made.write_tower(parts, tmp_path / "clip")
    weights = parts.weights(with_eye=False)
    lacking = {name: each for name, each in weights.items() if name != "model.norm.weight"}
    source = made.write(parts, tmp_path / "lacking", str(tower), lacking, "safetensors")
    with pytest.raises(ModelError, match=r"1 weights are missing, the first is language_model.model.norm.weight"):
        convert(str(source), tmp_path / "out")
    odd = {**weights, "model.norm.weight": torch.zeros(3)}
    source = made.write(parts, tmp_path / "odd", str(tower), odd, "safetensors")
    with pytest.raises(ModelError, match=r"norm.weight is \[3\] and should be \[32\]"):
        convert(str(source), tmp_path / "out")


def test_a_folder_in_use_and_a_name_of_nothing(parts: Original, tmp_path: Path) -> None:
    source = made.write(parts, tmp_path / "llava", "gone", {}, "safetensors")
    with pytest.raises(SenaError, match="holds other files"):
        convert(str(source), source)
    with pytest.raises(ModelError, match="neither a folder nor to be had"):
        convert(str(tmp_path / "nothing"))
    with pytest.raises(ModelError, match=r"no config\.json there"):
        convert(str(tmp_path))
