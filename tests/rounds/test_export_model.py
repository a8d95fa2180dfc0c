"""A round's model and adapter in folders of their own, and models named by the run that made them."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

from sena import files
from sena.cli.main import run_program
from sena.errors import RecipeError, SenaError
from sena.mini import mini_folder
from sena.models import adapters
from sena.models.load import load, save
from sena.recipes.recipe import load_recipe
from sena.rounds.evolve import evolve
from sena.rounds.export_model import export_model
from sena.rounds.job import open_job
from sena.runs.folder import RunFolder
from sena.runs.metrics import read_metrics
from tests.models.test_adapters import IDS, learned, logits


@pytest.fixture
def run(tiny_folder: Path, tmp_path: Path) -> RunFolder:
    """What two rounds leave: the first trained in full, the second with adapters."""
    made = RunFolder(tmp_path / "run")
    first, second = made.round(1), made.round(2)
    shutil.copytree(tiny_folder, first.model)
    second.adapter.mkdir(parents=True)
    adapters.save(learned(load(str(first.model), "float32", "cpu")), second.adapter, "../../round-1/model")
    save(load(str(second.adapter), "float32", "cpu"), second.model)
    for each in (first, second):
        files.write_json(each.training, {"steps": 1, "pairs": 8})
    files.write_json(made.manifest, {"schema": 1})
    return made


def test_the_adapter_goes_out_with_a_base_that_peft_finds(run: RunFolder, tmp_path: Path) -> None:
    made = export_model(run.path, "adapter", tmp_path / "out")
    assert made.gap is not None
    assert made.gap < 1e-5 < 0.01 < (made.moved or 0)
    base = json.loads((tmp_path / "out" / "adapter_config.json").read_text())["base_model_name_or_path"]
    model = AutoModelForImageTextToText.from_pretrained(base, dtype="float32")
    theirs = peft.PeftModel.from_pretrained(model, str(tmp_path / "out")).eval()
    merged = load(str(run.round(2).model), "float32", "cpu").model
    assert float((logits(theirs) - logits(merged)).norm() / logits(merged).norm()) < 1e-5
    assert torch.equal(logits(load(str(tmp_path / "out"), "float32", "cpu").model), logits(merged))


def test_the_merged_model_goes_out_as_it_is(run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_program(["export", str(run.path), "--to", "merged", "--out", str(tmp_path / "out")]) == 0
    assert "Logits of merged and unmerged differ by" in capsys.readouterr().out
    for file in run.round(2).model.iterdir():
        assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes()
    made = export_model(run.path, "merged", tmp_path / "first", round=1)
    assert made.gap is None
    assert load(str(tmp_path / "first"), "float32", "cpu").model(input_ids=IDS).logits.isfinite().all()


def test_a_model_that_is_not_the_sum_is_told(run: RunFolder, tmp_path: Path) -> None:
    path = run.round(2).adapter / adapters.WEIGHTS
    save_file({name: 1.1 * weight for name, weight in load_file(path).items()}, path)
    with pytest.raises(SenaError, match=r"is not its base with .*adapter: their logits differ by"):
        export_model(run.path, "merged", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_there_is_not(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(SenaError, match=r"Round 1 of .* was trained in full and has no adapter: take --to merged"):
        export_model(run.path, "adapter", tmp_path / "out", round=1)
    with pytest.raises(SenaError, match=r"no model of round 3: give --round 1, 2"):
        export_model(run.path, "merged", tmp_path / "out", round=3)
    with pytest.raises(SenaError, match="holds other files"):
        export_model(run.path, "merged", run.path)
    shutil.rmtree(run.round(1).model)
    with pytest.raises(SenaError, match=r"is an adapter whose base is gone"):
        export_model(run.path, "adapter", tmp_path / "out", round=2)


def test_another_run_s_model_is_pinned_when_a_run_begins(tmp_path: Path) -> None:
    """The other run may go on later; this one keeps to the model that it began from."""
    other = RunFolder(tmp_path / "other")
    other.round(1).path.mkdir(parents=True)
    other.round(1).model.symlink_to(mini_folder())
    files.write_json(other.manifest, {"schema": 1})
    recipe = load_recipe("demo", model=str(other.path), limit=4)
    with open_job(recipe, tmp_path / "out", None) as job:
        assert job.model_of(0) == str(other.round(1).model)
    other.round(2).path.mkdir()
    other.round(2).model.symlink_to(mini_folder())
    with pytest.raises(SenaError, match=r"it differs in model.name"), open_job(recipe, tmp_path / "out", None):
        pass


def test_a_split_model_is_not_trained(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"model.device: split is for making pairs, .*training needs one device"):
        evolve(load_recipe("demo", settings=["model.device=split"]), tmp_path / "run")


@pytest.mark.slow
def test_two_rounds_of_qlora(tmp_path: Path) -> None:
    """Each round starts from the whole weights of the one before, quantised anew, and its loss begins at log 2."""
    out = tmp_path / "run"
    small = ["engine.threads=1", "eval.count=6", "train.pairs_per_step=8", "lora.r=4", "train.learning_rate=1e-3"]
    flags = [each for setting in small for each in ("--set", setting)]
    kind = ["--set", "train.method=lora", "--set", "model.quantize=4bit"]
    assert run_program(["evolve", "demo", "--rounds", "2", "--limit", "16", *flags, *kind, "--out", str(out)]) == 0
    run = RunFolder(out)
    lines = [line for line in read_metrics(run.metrics) if line["stage"] == "train" and line["step"] == 0]
    assert [line["loss/dpo"] for line in lines] == pytest.approx([math.log(2)] * 2, abs=1e-4)
    assert adapters.base_of(run.round(2).adapter) == str(run.round(1).model.resolve())
    stored = load_file(run.round(2).model / "model.safetensors")
    assert all(weight.dtype == torch.float32 for weight in stored.values())
    summed = load(str(run.round(2).adapter), "float32", "cpu").model.state_dict()
    kept = load(str(run.round(2).model), "float32", "cpu").model.state_dict()
    assert all(torch.equal(weight, summed[name]) for name, weight in kept.items())
    found = export_model(out, "adapter", tmp_path / "adapter")
    assert found.gap is not None
    assert found.gap < 1e-5 < (found.moved or 0)
