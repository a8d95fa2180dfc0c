"""Every kind of corruption on a real processor's tensors, and what the engine makes of a request without a picture."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from sena.cli.main import run_program
from sena.engines.local import LocalEngine
from sena.engines.looks import Looks, demand
from sena.errors import SenaError
from sena.images.corrupt import corrupt
from sena.images.kinds import KINDS
from sena.images.plane import Colours
from sena.models import encode
from sena.models.load import load_without_weights
from sena.models.vlm import VLM
from sena.records import Corruption, Request
from tests.tiny import tiny_llava


def open_image(name: str) -> Image.Image:
    return Image.radial_gradient("L").convert("RGB").resize((40, 30))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "no_image"])
def test_a_look_is_the_processed_picture_spoiled(tiny: VLM, kind: str) -> None:
    corruption = Corruption(kind, KINDS[kind].usual, 3)
    look = Looks().at(tiny, Request("r", "What?", "a", corruption=corruption), open_image)
    clean = encode.process(tiny, open_image("a")).tensors["pixel_values"]
    processor = tiny.processor.image_processor
    assert look is not None
    assert look.tensors["pixel_values"].shape == clean.shape
    wanted = corrupt(clean, corruption, Colours(processor.image_mean, processor.image_std))
    assert torch.equal(look.tensors["pixel_values"], wanted)


def test_a_processor_that_does_not_normalise_gives_colours_as_they_are(tmp_path: Path) -> None:
    vlm = load_without_weights(str(tiny_llava(tmp_path)))
    vlm.processor.image_processor.do_normalize = False
    look = Looks().at(vlm, Request("r", "What?", "a", corruption=Corruption("colour_jitter", 1, 3)), open_image)
    clean = encode.process(vlm, open_image("a")).tensors["pixel_values"]
    assert look is not None
    assert torch.equal(
        look.tensors["pixel_values"], corrupt(clean, Corruption("colour_jitter", 1, 3), Colours((0, 0, 0), (1, 1, 1)))
    )
    assert 0 <= look.tensors["pixel_values"].min() < look.tensors["pixel_values"].max() <= 1


def test_no_image_is_asked_as_text_alone(tiny: VLM) -> None:
    engine = LocalEngine(tiny, batch=4)
    spoiled = Corruption("no_image", 0, 3)
    blind = Request("blind", "What is it?", None, max_new_tokens=6, corruption=spoiled)
    text = Request("text", "What is it?", None, max_new_tokens=6)
    first, second = engine.generate([blind, text], open_image)
    assert (first.text, first.tokens) == (second.text, second.tokens)


def test_a_kind_that_a_model_forbids_is_told_before_a_run_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with a model whose processor puts pictures where nobody knows: noise is allowed, a blur is not. `check` tells
    it, and `evolve` and `sweep` tell it and keep no recipe with it."""
    monkeypatch.setattr("sena.images.layout.planes", lambda *args: ())
    vlm = load_without_weights(str(tiny_llava(tmp_path / "model")))
    demand(vlm, "diffusion", 600)
    demand(vlm, "no_image", 0)
    with pytest.raises(SenaError, match="blur has to know where a whole picture lies"):
        demand(vlm, "blur", 4)
    mini = ["demo", "--model", "mini", "--images", "mini", "--limit", "4"]
    for verb in ("check", "evolve"):
        out = [] if verb == "check" else ["--out", str(tmp_path / "run")]
        assert run_program([verb, *mini, "--set", "corruption.kind=blur", *out]) == 2
        told = capsys.readouterr()
        assert "blur has to know where a whole picture lies" in told.out + told.err
    assert run_program(["sweep", *mini, "--kinds", "blur", "--out", str(tmp_path / "sweep")]) == 2
    assert "choose diffusion, no_image, other_image" in capsys.readouterr().err
    assert not list(tmp_path.glob("*/recipe.yaml"))
