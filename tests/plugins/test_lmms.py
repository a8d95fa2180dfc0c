"""What lmms-eval asks becomes requests, and replies what it takes. No lmms-eval is needed for that; one test of the
whole runs its evaluator, from the folder where `make test-slow` puts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sena.engines.base import OpenImage
from sena.engines.scripted import ScriptedEngine
from sena.errors import SenaError
from sena.plugins import lmms
from sena.records import Reply, Request, Score
from tests.architecture.source import ROOT

INSTALLED = ROOT / ".venv" / "lmms-eval"
RED, BLUE = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")


@dataclass(frozen=True)
class Instance:
    args: tuple[Any, ...]


class Engine:
    """Writes down what it is asked; its answer is `said`, the log-probability of `red` larger than of all else."""

    offers = frozenset({"generate", "score"})

    def __init__(self, said: str = "red") -> None:
        self.said, self.asked, self.shown = said, list[Request](), list[Any]()

    def generate(self, requests: list[Request], open_image: OpenImage) -> list[Reply]:
        self.asked += requests
        self.shown += [open_image(each.image).getpixel((0, 0)) if each.image else None for each in requests]
        return [Reply(each.id, self.said) for each in requests]

    def score(self, requests: list[Request], open_image: OpenImage) -> list[Score]:
        return [Score(each.id, -3.0, -1.0 if each.answer == "red" else -1.5, 2) for each in requests]


DOCUMENTS = {"task": {"test": [{"picture": RED}, {"picture": BLUE}, {"picture": RED}, {"picture": None}]}}


def picture_of(document: dict[str, Any]) -> list[Any]:
    return [document["picture"]] if document["picture"] else []


def asked(number: int, settings: dict[str, Any], context: str = "what is it ?") -> Instance:
    return Instance((context, settings, picture_of, number, "task", "test"))


def test_documents_become_requests_and_equal_pictures_one() -> None:
    engine, heard = Engine(), []
    settings = {"max_new_tokens": 16, "temperature": 0, "do_sample": False}
    requests = [asked(number, settings, "<image>\nwhat ?") for number in range(4)]
    asking = lmms.Asking(engine, DOCUMENTS)
    assert asking.generate(requests, lambda *what: heard.append(what)) == ["red"] * 4
    assert engine.shown == [(255, 0, 0), (0, 0, 255), (255, 0, 0), None]
    assert engine.asked[0].image == engine.asked[2].image != engine.asked[1].image
    assert {(each.prompt, each.max_new_tokens, each.temperature) for each in engine.asked} == {("what ?", 16, 0.0)}
    assert heard[0] == ("generate_until", ("<image>\nwhat ?", settings), "red")


def test_sampling_only_where_the_task_samples() -> None:
    engine = Engine()
    settings = [{"temperature": 0.7, "do_sample": False}, {"temperature": 0.7}, {}]
    lmms.Asking(engine, DOCUMENTS).generate([asked(0, each) for each in settings], lambda *_: None)
    assert [each.temperature for each in engine.asked] == [0.0, 0.7, 0.0]
    assert engine.asked[0].max_new_tokens == lmms.MAX_NEW_TOKENS


@pytest.mark.parametrize(
    ("until", "expected"),
    [(["b", "d"], "a\n\n"), ("c", "a\n\nb "), (["\n\n"], "a\n\nb c"), (None, "a\n\nb c"), (["x", ""], "a\n\nb c")],
)
def test_an_answer_ends_before_the_first_stop_but_not_at_a_paragraph(until: Any, expected: str) -> None:
    engine = ScriptedEngine(lambda request: "a\n\nb c")
    assert lmms.Asking(engine, DOCUMENTS).generate([asked(3, {"until": until})], lambda *_: None) == [expected]


def test_given_answers_have_losses_the_likeliest_the_least() -> None:
    """lmms-eval takes the least of them (`np.argmin` in its task.py)."""
    given = [(text, picture_of, 0, "task", "test") for text in (" red", " blue", lambda document: "red")]
    requests = [Instance(("what ?", *each)) for each in given] + [Instance(("", "red"))]
    found = lmms.Asking(Engine(), DOCUMENTS).losses(requests)
    assert found == [(1.0, True), (1.5, False), (1.0, True), (1.0, True)]


def test_two_pictures_or_a_film_are_refused_by_the_task_s_name() -> None:
    asking = lmms.Asking(Engine(), DOCUMENTS)
    for shown, what in (([RED, BLUE], "2 of them"), (["film.mp4"], "something else")):
        instance = Instance(("what ?", {}, lambda document, shown=shown: shown, 0, "task", "test"))
        with pytest.raises(SenaError, match=f"the task task shows {what}"):
            asking.generate([instance], lambda *_: None)


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SenaError, match="runs in one process"):
        lmms.load_engine("mini", 1, "auto", "auto")


TASK = """
task: colours
dataset_path: parquet
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: {kind}
doc_to_visual: !function tools.picture
doc_to_text: "{{{{question}}}}"
doc_to_target: {target}
{more}
"""
CHOICES = "doc_to_choice: {choices}\nmetric_list:\n  - {{metric: acc, aggregation: mean, higher_is_better: true}}"
SAID = "process_results: !function tools.right\nmetric_list:\n  - {metric: right, aggregation: mean}"
RUN = """
import json, sys
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.models import list_available_models
from lmms_eval.tasks import TaskManager

manager = TaskManager(include_path=sys.argv[1], include_defaults=False, model_name="sena")
made = simple_evaluate(model="sena", model_args="pretrained=mini", tasks=["said", "chosen"], batch_size=8,
                       task_manager=manager)
said = [each["filtered_resps"][0] for each in made["samples"]["said"]]
results = {name: {key: value for key, value in each.items() if isinstance(value, float)}
           for name, each in made["results"].items()}
print("FOUND", json.dumps({"known": "sena" in list_available_models(), "said": said, "results": results}))
"""


@pytest.mark.slow
def test_the_installed_lmms_eval_finds_the_model_and_evaluates_it(tmp_path: Path) -> None:
    """Two tasks on the miniature's own questions: answers, which must be those of `sena.load`, and choices, of which
    the greedy answer has to be the likeliest."""
    import datasets

    import sena
    from sena.mini.bench import MiniBench

    assert INSTALLED.is_dir(), "`make test-slow` puts lmms-eval there"
    bench = MiniBench()
    rows = []
    for number, item in enumerate(bench.items("tuning", 4)):
        path = tmp_path / f"{number}.png"
        bench.open_image(item.id).save(path)
        for request in bench.ask(item)[1:3]:
            rows.append({"image": str(path), "question": request.prompt})
    model = sena.load("mini")
    answers = [model.ask(row["image"], row["question"]).strip() for row in rows]
    choices = sorted({"yes", "no", "red", "boat", *answers})
    table = datasets.Dataset.from_list([{**row, "answer": said} for row, said in zip(rows, answers, strict=True)])
    table = table.cast_column("image", datasets.Image())
    table.to_parquet(tmp_path / "data.parquet")
    tools = "def picture(doc):\n    return [doc['image']]\n\n\n"
    tools += "def right(doc, results):\n    return {'right': float(results[0] == doc['answer'])}\n"
    (tmp_path / "tools.py").write_text(tools)
    for name, kind, target, more in (
        ("said", "generate_until", "answer", SAID),
        ("chosen", "multiple_choice", '"{{answer}}"', CHOICES.format(choices=json.dumps(choices))),
    ):
        text = TASK.format(data=tmp_path / "data.parquet", kind=kind, target=target, more=more)
        (tmp_path / f"{name}.yaml").write_text(text.replace("task: colours", f"task: {name}"))
    environment = {
        **os.environ,
        "PYTHONPATH": str(INSTALLED),
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "hf"),
    }
    command = [sys.executable, "-c", RUN, str(tmp_path)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads(
        next(line for line in done.stdout.splitlines() if line.startswith("FOUND")).removeprefix("FOUND")
    )
    assert found["known"]
    assert found["said"] == answers
    assert found["results"]["said"]["right,none"] == 1.0
    assert found["results"]["chosen"]["acc,none"] == 1.0
