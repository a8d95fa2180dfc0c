"""What only some families do, and would do wrongly without a word."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import transformers as hf

from sena.align import modes, plain, selftest
from sena.align.config import LoraConfig
from sena.align.tree_forward import TreeForward
from sena.engines.local import LocalEngine
from sena.models import families
from sena.models.load import load
from sena.models.vlm import VLM
from sena.records import Corruption, Request
from tests.families import google, idefics
from tests.families.parts import Tiny
from tests.families.test_families import PROMPT, SIZES, picture, some_pairs
from tests.families.tiny import TINY

ROOT = Path(__file__).parents[2]


def saved(made: Tiny, place: Path) -> VLM:
    made.model.save_pretrained(place)
    made.processor.save_pretrained(place)
    return load(str(place), "float32", "cpu")


@pytest.mark.parametrize("name", TINY)
def test_adapters_lie_on_the_language_model_alone(name: str, tmp_path: Path) -> None:
    """On seven layers in each of its two blocks, as everywhere in these families, and on nothing that sees."""
    vlm = saved(TINY[name](), tmp_path)
    blocks = {id(module) for module in modes.tongue(vlm.model).modules()}
    layers = {where: id(module) for where, module in vlm.model.named_modules()}
    adapted = modes.prepare_lora(vlm, LoraConfig(r=2, alpha=4), seed=0)
    places = {name.split(".lora_")[0].removeprefix("base_model.model.") for name, _ in modes.learning(adapted)}
    assert len(places) == 14
    assert all(layers[where] in blocks for where in places)


def test_an_answer_ends_where_the_template_closes_it(tmp_path: Path) -> None:
    """Though neither tokenizer nor generation settings call that token an end."""
    made = idefics.idefics3()
    other = made.processor.tokenizer.convert_tokens_to_ids("<|im_start|>")
    made.processor.tokenizer.eos_token = "<|im_start|>"
    made.model.generation_config.eos_token_id = other
    vlm = saved(made, tmp_path)
    end = vlm.tokenizer.convert_tokens_to_ids("<end_of_utterance>")
    assert (vlm.stop_ids, vlm.end_id) == (tuple(sorted((other, end))), end)


@pytest.mark.parametrize("share", [0.75, 1.0])
def test_a_tile_that_is_masked_altogether_is_still_seen(share: float, tmp_path: Path) -> None:
    vlm = saved(idefics.smolvlm(), tmp_path)
    spoiled = Corruption("mask", share, seed=2)
    asked = [Request(name, PROMPT, name, corruption=spoiled, max_new_tokens=3) for name in SIZES]
    for path in ("shared", "plain"):
        assert all(reply.tokens for reply in LocalEngine(vlm, path=path).generate(asked, picture))


def test_a_prompt_read_in_both_directions_shares_nothing(tmp_path: Path) -> None:
    """The first PaliGemma, whose language model has no windows that would forbid it anyway."""
    made = google.paligemma2()
    settings = made.model.config.to_dict()
    kept = {key: value for key, value in settings["text_config"].items() if key not in ("layer_types", "model_type")}
    config = hf.PaliGemmaConfig(**{**settings, "text_config": {**kept, "model_type": "gemma", "sliding_window": None}})
    vlm = saved(Tiny(hf.PaliGemmaForConditionalGeneration(config), made.processor), tmp_path)
    engine = LocalEngine(vlm)
    assert engine.generate([Request("a", PROMPT, "wide", max_new_tokens=3)], picture)
    assert (engine.path, engine.why) == ("plain", "what it sees in a picture hangs on the prompt behind it")
    pairs = plain.encode_pairs(vlm, some_pairs(), picture)
    assert "both directions" in selftest.find_fault(vlm, pairs, TreeForward(4096))


@pytest.mark.parametrize("name", ["Gemma 3", "PaliGemma 2"])
def test_what_is_told_of_tokens_is_heard(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were nothing told, the model would say something else, and no error."""
    vlm = saved(TINY[name](), tmp_path)
    pairs = plain.encode_pairs(vlm, some_pairs(), picture)
    told = plain.log_probabilities(vlm, pairs).chosen
    silent = dataclasses.replace(families.find(vlm.family), told="")  # type: ignore[type-var]
    monkeypatch.setattr(families, "find", lambda model_type: silent)
    untold = plain.log_probabilities(vlm, pairs).chosen
    assert (told - untold).abs().min() > 1e-3


def test_what_works_without_torchvision(tmp_path: Path) -> None:
    """In a program of its own, which does not find it: families that need nothing load and see, the others say so."""
    for name, make in TINY.items():
        saved(make(), tmp_path / name.replace(" ", "-"))
    made = subprocess.run([sys.executable, "-c", LOOK, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    said = dict(line.split("\t") for line in made.stdout.splitlines())
    assert set(said) == {name.replace(" ", "-") for name in TINY}, made.stderr
    for family in families.FAMILIES:
        word = said[family.name.replace(" ", "-")]
        assert (word == "sees") == (not family.needs), word
        assert all(package in word for package in family.needs)


LOOK = """
import sys
from pathlib import Path
from PIL import Image
from sena.errors import ModelError
from sena.models import encode
from sena.models.load import load_without_weights
for folder in Path(sys.argv[1]).iterdir():
    try:
        vlm = load_without_weights(str(folder))
        seen = encode.process(vlm, Image.new("RGB", (90, 60)))
        word = "sees" if vlm.image_id in encode.prompt_ids(vlm, "What?", seen) else "blind"
    except ModelError as error:
        word = str(error)
    print(folder.name, word, sep="\\t")
"""
