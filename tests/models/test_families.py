"""What the table of families is asked for, and models of families that are not in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
import yaml
from PIL import Image

from sena.cli.main import run_program
from sena.errors import ModelError
from sena.models import encode, families, unknown
from sena.models import load as loading
from sena.models.load import load
from tests import tiny as tinies

RECIPE = {
    "extends": "sena",
    "question": {"prompts": ["Ask."], "keep": "whole", "max_new_tokens": 6},
    "check": {"enabled": False},
    "describe": {"prompts": ["Describe."], "suffix": "", "max_new_tokens": 8},
    "answer": {"suffix": "", "max_new_tokens": 8},
    "enhance": {"enabled": False},
    "filters": {"names": ["empty"]},
    "engine": {"threads": 1},
}
OTHER_CHAT = "{% for turn in messages %}<s>{{ turn['role'] }}: {% for part in turn['content'] %}" + (
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}</s>{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A family that is not in the table: ViP-LLaVA, which reads several layers of its tower at once."""
    processor = tinies.llava_processor()
    processor.chat_template = OTHER_CHAT
    eye = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.VipLlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**eye, image_size=tinies.SIDE, patch_size=tinies.PATCH),
        text_config=transformers.LlamaConfig(**eye, vocab_size=len(processor.tokenizer), eos_token_id=2),
        image_token_index=3,
        vision_feature_layers=[-1, -2],
    )
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("stranger")
    model = transformers.VipLlavaForConditionalGeneration(config)
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def test_no_type_is_in_two_families() -> None:
    types = [each for family in families.FAMILIES for each in family.types]
    assert len(types) == len(set(types))


def test_only_llava_pads() -> None:
    assert [each.name for each in families.FAMILIES if families.pads_to_square(each.types[0])] == ["LLaVA-1.5"]
    assert not families.pads_to_square("never_heard_of")


def test_a_missing_package_is_named_before_anything_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2_5_vl"}))
    with pytest.raises(ModelError, match=r"of the Qwen2.5-VL family, whose processor needs torchvision: pip install"):
        load(str(tmp_path))


def test_an_unknown_family_evolves_and_is_told(
    stranger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(3):
        Image.linear_gradient("L").rotate(90 * number).convert("RGB").save(tmp_path / "photos" / f"{number}.png")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    start = [str(tmp_path / "recipe.yaml"), "--model", str(stranger), "--images", str(tmp_path / "photos")]
    start += ["--rounds", "1", "--limit", "3"]
    for verb in (["check"], ["evolve", "--out", str(tmp_path / "run")]):
        assert run_program([verb[0], *start, *verb[1:]]) == 0
        said = capsys.readouterr().out.replace("\n", " ")
        assert "vipllava is no family that sena knows (LLaVA-1.5, " in said
    assert load(str(tmp_path / "run" / "round-1" / "model")).family == "vipllava"


def test_a_stranger_that_gets_another_prompt_is_refused(stranger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = encode.prompt_ids
    monkeypatch.setattr(encode, "prompt_ids", lambda *given: [*real(*given), 7])
    with pytest.raises(ModelError, match=r"does not know \(vipllava\), and its own processor writes a prompt in"):
        load(str(stranger))


def test_a_stranger_that_sees_another_picture_is_refused(stranger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = encode.stack

    def dark(*given: Any) -> dict[str, torch.Tensor]:
        return {name: torch.zeros_like(tensor) for name, tensor in real(*given).items()}

    monkeypatch.setattr(encode, "stack", dark)
    with pytest.raises(ModelError, match=r"its answer differs by .* nats"):
        load(str(stranger))


def test_a_stranger_that_fails_is_told(stranger: Path) -> None:
    vlm = load(str(stranger))
    vlm.model.config.image_token_id = 5
    assert "asked about a picture it fails (ValueError: Image features" in unknown.fault(vlm)


def test_the_verb_prints_the_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run_program(["models"]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    assert run_program(["models", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in told] == [family.name for family in families.FAMILIES]
    assert all(each["name"] in said for each in told)
