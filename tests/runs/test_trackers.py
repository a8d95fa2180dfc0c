"""Trackers, with stand-ins for the packages under accelerate's own tracker classes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from sena.errors import SenaError
from sena.runs import trackers
from sena.runs.metrics import Metrics
from sena.runs.trackers import Trackers, flat

NAMES = ("wandb", "trackio", "mlflow")
WANDB = """
import json, types

def tell(**what):
    with open({told!r}, "a") as handle:
        handle.write(json.dumps(what) + "\\n")

class Run:
    def log(self, values, step=None): tell(log=values, step=step)
    def finish(self): tell(end=True)

def init(**options):
    tell(init=options)
    return Run()

config = types.SimpleNamespace(update=lambda values, **options: tell(config=values))
"""
MLFLOW = (
    WANDB
    + """
utils = types.SimpleNamespace(validation=types.SimpleNamespace(MAX_PARAM_VAL_LENGTH=500, MAX_PARAMS_TAGS_PER_BATCH=100))

def search_experiments(filter_string): return []
def create_experiment(name, **options):
    tell(project=name)
    return "7"
def start_run(run_name=None, **options): tell(init=dict(name=run_name))
def log_params(values): tell(config=values)
def log_metrics(values, step=None): tell(log=values, step=step)
def end_run(): tell(end=True)
"""
)


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a stand-in for a package in the way of imports. Returns what it was told by then."""
    monkeypatch.syspath_prepend(tmp_path)
    for name in NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)
        code = (MLFLOW if name == "mlflow" else WANDB).replace("{told!r}", repr(str(tmp_path / f"{name}.jsonl")))
        (tmp_path / f"{name}.py").write_text(code)
    yield lambda name: [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
    for name in NAMES:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_reach_the_tracker(told: Any, tmp_path: Path, name: str) -> None:
    """Stages count from 0 each, and the tracker's step grows all the same; words stay in metrics.jsonl."""
    trackers.demand(["tensorboard", name])
    path = tmp_path / "metrics.jsonl"
    for first in (True, False):  # the second time is a resumed run
        metrics = Metrics(path, None, Trackers(["tensorboard", name], "mine", {"run": {"seed": 3}}, path))
        if first:
            metrics.log(1, "train", {"loss/dpo": 0.5, "what": "words"}, step=4)
        metrics.log(2, "judge", {"score": 1})
        metrics.close()
    lines = told(name)
    logged = [(line["log"], line["step"]) for line in lines if "log" in line]
    judged = {"round-2/judge/score": 1, "round-2/judge/step": 0}
    assert logged == [({"round-1/train/loss/dpo": 0.5, "round-1/train/step": 4}, 1), (judged, 2), (judged, 3)]
    assert [line["init"]["name"] for line in lines if "init" in line] == ["mine", "mine"]
    assert lines[0].get("project", lines[0].get("init", {}).get("project")) == "sena"
    assert [line["config"] for line in lines if "config" in line] == [{"run.seed": 3}] * 2
    assert lines[-1] == {"end": True}


def test_a_run_that_says_nothing_opens_nothing(told: Any, tmp_path: Path) -> None:
    Metrics(tmp_path / "metrics.jsonl", None, Trackers(["wandb"], "mine", {}, tmp_path / "metrics.jsonl")).close()
    assert not (tmp_path / "wandb.jsonl").exists()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None if name == "trackio" else object())
    with pytest.raises(SenaError, match=r"asks for trackio, not installed here: pip install trackio$"):
        trackers.demand(["wandb", "trackio"])
    trackers.demand(["wandb", "tensorboard"])


def test_settings_as_trackers_take_them() -> None:
    settings = {"run": {"seed": 0, "names": ["a"]}, "model": {"name": "mini", "limits": {"side": None}}}
    assert dict(flat(settings)) == {
        "run.seed": 0,
        "run.names": "['a']",
        "model.name": "mini",
        "model.limits.side": None,
    }
