"""The model card: what stands in it, and that its snippet runs."""

from __future__ import annotations

import io
import os
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import yaml

import sena
from sena.mini import world
from sena.recipes.recipe import load_recipe
from sena.rounds.card import card, model_card, recipe_of, write_card
from tests.serve.make import finished_run

QUESTION = "What is in this picture?"


def test_numbers_of_the_run_stand_in_it(tmp_path: Path) -> None:
    """Figures of round N: 0.3 - 0.1 N, give or take 0.05; three rows were dropped each round."""
    run = finished_run(tmp_path / "run", rounds=2)
    text = card(run, recipe_of(run), 2, "me/better")
    assert "mini, after 2 rounds of self-evolution" in text
    assert "| check | not answered by the picture | 3 |" in text
    assert "4 images → 8 pairs" in text
    assert "pairs trained on in this round: 8" in text
    assert "| metric | base | round 1 | round 2 | against base |" in text
    value = "0.300 (0.250 to 0.350) | 0.200 (0.150 to 0.250) | 0.100 (0.050 to 0.150) | -0.200 (-0.300 to -0.100)"
    assert f"| chair_i ↓ | {value} |" in text
    assert 'name = "me/better"' in text
    assert str(tmp_path) not in text
    assert "round 2" not in card(run, recipe_of(run), 1)


def test_the_hub_reads_its_head() -> None:
    recipe = load_recipe("sena", model="llava-hf/llava-1.5-7b-hf", images="mini")
    head = yaml.safe_load(model_card(recipe, 1, 5, 6).split("---\n")[1])
    assert head["base_model"] == "llava-hf/llava-1.5-7b-hf"
    assert head["base_model_relation"] == "finetune"
    assert head["pipeline_tag"] == "image-text-to-text"
    assert head["library_name"] == "transformers"


def test_a_local_base_is_called_by_its_name_alone(tmp_path: Path) -> None:
    (tmp_path / "secret" / "my-base").mkdir(parents=True)
    text = model_card(load_recipe("sena", model=str(tmp_path / "secret" / "my-base"), images="mini"), 1, 5, 6)
    assert "from `my-base`" in text
    assert "secret" not in text
    assert "base_model" not in text


def test_the_snippet_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands, in the model's folder; it prints what `sena.ask` says."""
    run = finished_run(tmp_path / "run")
    write_card(run, recipe_of(run), 1)
    folder = run.round(1).model
    (folder / "photo.jpg").write_bytes(world.render_png(world.make_scene("evaluation", 0)))
    found = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert found is not None
    monkeypatch.chdir(folder)
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(found[1], "README.md", "exec"), {})
    assert printed.getvalue().strip() == sena.ask(run.path, [folder / "photo.jpg"], QUESTION)[0]
    assert os.environ["HF_HUB_OFFLINE"] == "1"
