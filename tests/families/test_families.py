"""Each family's tiny model through everything that sena does with a model, up to the whole loop by the program.

What is expected of a family (trees or plain rows, one reading of a picture or many) stands in `sena.models.families`,
so that what `sena models` prints is what is tested here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from sena.align import plain, selftest, tree_mask
from sena.align.tree_forward import TreeForward
from sena.cli.main import run_program
from sena.engines.local import LocalEngine
from sena.engines.looks import Looks
from sena.models import encode, families, logprobs
from sena.models.load import load, save
from sena.models.vlm import VLM
from sena.records import Corruption, Pair, Request
from sena.runs.folder import RunFolder
from tests.families.tiny import TINY

NOISE = Corruption("diffusion", 700, seed=5)
SIZES = {"wide": (96, 60), "tall": (40, 110), "square": (64, 64)}
PROMPT = "What is it?"
RECIPE = {
    "extends": "sena",
    "question": {"prompts": ["Ask."], "keep": "whole", "max_new_tokens": 6},
    "check": {"enabled": False},
    "describe": {"prompts": ["Describe."], "suffix": "", "max_new_tokens": 8},
    "answer": {"suffix": "", "max_new_tokens": 8},
    "enhance": {"enabled": False},
    "filters": {"names": ["empty", "identical"]},
    "run": {"rounds": 1, "images_per_round": 4},
    "engine": {"threads": 1},
    "train": {"learning_rate": 1e-3, "pairs_per_step": 4},
}
"""Random weights neither end an answer nor say a question twice, so what asks for either is off. The rest is real."""


@pytest.fixture(scope="module", params=list(TINY))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A family's tiny model, saved as a checkpoint on the hub is. Read only."""
    made, place = TINY[request.param](), tmp_path_factory.mktemp("family") / "model"
    made.model.save_pretrained(place)
    made.processor.save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def vlm(folder: Path) -> VLM:
    """The model, loaded as a user's is. No test changes it."""
    return load(str(folder), dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def family(vlm: VLM) -> families.Family:
    return cast(families.Family, families.find(vlm.family))


def picture(name: str) -> Image.Image:
    """Soft blobs of colour, the same for the same name, of one of three shapes."""
    shape = name.partition("-")[0]
    noise = np.random.default_rng([ord(letter) for letter in name]).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(SIZES[shape], Image.Resampling.BICUBIC)


def own_inputs(vlm: VLM, prompt: str, image: str) -> dict[str, torch.Tensor]:
    """What the family's own processor makes of a talk with a picture: the reference for all that sena encodes."""
    seen = encode.pad_square(picture(image), (122, 116, 104)) if vlm.family == "llava" else picture(image)
    content = [{"type": "image"}, {"type": "text", "text": prompt}]
    text = vlm.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    if vlm.family == "llava":  # the hub's template lacks the system sentence
        text = vlm.template.before_image + prompt + vlm.template.after
    has_begin = text.startswith(vlm.tokenizer.bos_token or "<nothing>")
    made = vlm.processor(images=[seen], text=[text], return_tensors="pt", add_special_tokens=not has_begin)
    made.pop("labels", None)
    return dict(made)


def test_the_table_says_what_is_tested() -> None:
    assert {family.name for family in families.FAMILIES if family.tested == families.WHOLE_LOOP} == set(TINY)


def test_the_model_is_of_its_family(vlm: VLM, request: pytest.FixtureRequest) -> None:
    found = families.find(vlm.family)
    assert found is not None
    assert found.name == request.node.callspec.params["folder"]


@pytest.mark.parametrize("shape", SIZES)
def test_prompt_and_picture_are_the_processors_own(vlm: VLM, shape: str) -> None:
    wanted = own_inputs(vlm, PROMPT, shape)
    pixels = encode.process(vlm, picture(shape))
    assert encode.prompt_ids(vlm, PROMPT, pixels) == wanted["input_ids"][0].tolist()
    for name, tensor in pixels.tensors.items():
        assert torch.equal(tensor, wanted[name]), name
    assert pixels.tensors["pixel_values"].dtype == torch.float32


def test_an_answer_ends_as_the_template_ends_it(vlm: VLM) -> None:
    """Prompt and answer together are the processor's own encoding of the finished talk, up to its end token."""
    more = {}
    if vlm.template.name == "chat":
        talk = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": PROMPT}]}]
        talk.append({"role": "assistant", "content": [{"type": "text", "text": "A cup."}]})
        text = vlm.processor.apply_chat_template(talk)
        text = text.replace("assistant \n", "assistant\n")  # LLaVA-OneVision opens the answer to come without a blank
    elif vlm.template.name == "paligemma":
        text, more = f"<image>{PROMPT}", {"suffix": ["A cup."]}
    else:
        text = f"{vlm.template.before_image}{PROMPT}{vlm.template.after} A cup.{vlm.template.closing}"
    has_begin = text.startswith(vlm.tokenizer.bos_token or "<nothing>")
    more |= {"add_special_tokens": not has_begin}
    wanted = vlm.processor(images=[picture("wide")], text=[text], **more)["input_ids"][0]
    pixels = encode.process(vlm, picture("wide"))
    made = encode.prompt_ids(vlm, PROMPT, pixels) + encode.answer_ids(vlm, PROMPT, "A cup.", pixels)
    assert made == list(wanted)[: len(made)]
    assert made[-1] == vlm.end_id
    assert len(wanted) - len(made) <= 1  # some close with a line break behind the end token


def requests() -> list[Request]:
    """Two prompts on each picture, one of them spoiled as well."""
    return [
        Request(f"{name}{number}", "So? " * number + PROMPT, name, corruption=spoiled, max_new_tokens=7)
        for name in SIZES
        for number, spoiled in ((0, None), (1, None), (2, NOISE))
    ]


def generate_alone(vlm: VLM, request: Request) -> list[int]:
    """By transformers' own `generate`, from what the family's own processor makes, with the pixels spoiled alike."""
    inputs = own_inputs(vlm, request.prompt, request.image or "")
    if request.corruption:
        seen = Looks().at(vlm, request, picture)
        assert seen is not None
        inputs["pixel_values"] = seen.tensors["pixel_values"]
    made = vlm.model.generate(**inputs, max_new_tokens=request.max_new_tokens, do_sample=False)
    ids = made[0, inputs["input_ids"].shape[1] :].tolist()
    return ids[: ids.index(vlm.end_id)] if vlm.end_id in ids else ids


def test_answers_are_those_of_transformers(vlm: VLM, family: families.Family) -> None:
    """In one batch, clean and spoiled, against one at a time. The spoiled ones really see something else."""
    engine = LocalEngine(vlm)
    replies = engine.generate(requests(), picture)
    assert engine.path == family.reads, engine.why
    with torch.no_grad():
        assert [list(reply.tokens) for reply in replies] == [generate_alone(vlm, each) for each in requests()]
    same = [Request("x", "So? " * 2 + PROMPT, name, max_new_tokens=7) for name in SIZES]
    clean = engine.generate(same, picture)
    assert [reply.tokens for reply in clean] != [reply.tokens for reply in replies[2::3]]


def test_the_plain_path_answers_alike(vlm: VLM) -> None:
    asked = [*requests(), Request("none", PROMPT, None, max_new_tokens=7)]
    shared, rows = (LocalEngine(vlm, path=path).generate(asked, picture) for path in ("", "plain"))
    assert [reply.tokens for reply in shared] == [reply.tokens for reply in rows]


def some_pairs() -> list[Pair]:
    return [
        Pair(f"{image}{number}", "row", image, "answer", f"{'So? ' * (number % 2)}{PROMPT}", chosen, rejected)
        for image in SIZES
        for number, (chosen, rejected) in enumerate([("A cup.", "Nothing"), ("Two", "A red bus."), ("no", "ja")])
    ]


def test_log_probabilities_are_those_of_the_models_own_forward(vlm: VLM) -> None:
    """Recomputed in float64 from all logits of the family's own inputs, an answer at a time."""
    pairs = plain.encode_pairs(vlm, some_pairs(), picture)
    with torch.no_grad():
        found = plain.log_probabilities(vlm, pairs)
        for number, each in enumerate(pairs):
            inputs = own_inputs(vlm, each.pair.prompt, each.pair.image_id)
            whole = torch.tensor([each.prompt + each.chosen])
            assert inputs["input_ids"][0].tolist() == each.prompt
            more = whole.shape[1] - inputs["input_ids"].shape[1]
            for name in ("input_ids", "attention_mask", "mm_token_type_ids", "token_type_ids"):
                if name in inputs:
                    ones = name == "attention_mask" or (name == "token_type_ids" and vlm.family == "paligemma")
                    inputs[name] = torch.nn.functional.pad(inputs[name], (0, more), value=int(ones))
            logits = vlm.model(**{**inputs, "input_ids": whole}).logits[0].double()
            each_token = logits[:-1].log_softmax(-1).gather(1, whole[0, 1:, None])[-more:, 0]
            assert float(found.chosen[number]) == pytest.approx(float(each_token.sum()), abs=2e-3), each.pair.id


def test_trains_as_the_table_says(vlm: VLM, family: families.Family, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees give log-probabilities and gradients of the plain rows, by the very test that a run begins with; their
    attention goes by blocks, as it does in trees of real pictures, which are longer."""
    monkeypatch.setattr(tree_mask, "BLOCK", 16)
    pairs = plain.encode_pairs(vlm, some_pairs(), picture)
    fault = selftest.find_fault(vlm, pairs, TreeForward(4096))
    assert bool(fault) == (family.trains == "plain"), fault
    if family.trains == "tree":
        with torch.no_grad():
            tree, rows = (forward(vlm, pairs) for forward in (TreeForward(4096), plain.log_probabilities))
        assert torch.allclose(tree.chosen, rows.chosen, atol=2e-3)
        assert torch.allclose(tree.rejected, rows.rejected, atol=2e-3)


def test_saved_and_loaded_it_is_the_same(vlm: VLM, tmp_path: Path) -> None:
    save(vlm, tmp_path)
    again = load(str(tmp_path), dtype="float32", device="cpu")
    assert again.template == vlm.template
    assert (again.stop_ids, again.end_id, again.image_id) == (vlm.stop_ids, vlm.end_id, vlm.image_id)
    assert score(again) == score(vlm)


def score(vlm: VLM) -> list[float]:
    pixels = encode.process(vlm, picture("wide"))
    prompt = encode.prompt_ids(vlm, PROMPT, pixels)
    rows = [logprobs.Sequence(prompt, encode.answer_ids(vlm, PROMPT, text, pixels), pixels) for text in ("a", "bc")]
    with torch.no_grad():
        return logprobs.log_probabilities(vlm, rows)[0].tolist()


def test_check_finds_no_fault(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The program's own look at model, pictures, corruption and memory before a run, with a trial on two pictures."""
    write_pictures(tmp_path / "photos")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    start = ["check", str(tmp_path / "recipe.yaml"), "--model", str(folder), "--images", str(tmp_path / "photos")]
    assert run_program([*start, "--try", "2"]) == 0
    said = capsys.readouterr().out
    assert "No fault found" in said
    assert "parameters of which" in said


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """One round by the program alone: the model, four pictures in a folder, a recipe in a file."""
    place = tmp_path_factory.mktemp("loop")
    write_pictures(place / "photos")
    (place / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    evolve(place, folder, "run")
    return RunFolder(place / "run")


def write_pictures(place: Path, names: Sequence[str] = ("wide-a", "tall-b", "square-c", "wide-d")) -> None:
    place.mkdir()
    for name in names:
        picture(name).save(place / f"{name}.png")


def evolve(place: Path, model: Path, out: str, *more: str) -> None:
    start = ["evolve", str(place / "recipe.yaml"), "--model", str(model), "--images", str(place / "photos")]
    assert run_program([*start, *more, "--out", str(place / out)]) == 0


def test_the_loop_leaves_a_better_model(run: RunFolder, folder: Path, family: families.Family) -> None:
    """Pairs were made and learned from, by the forward of the table; the new model loads, answers, and is another."""
    log = run.log.read_text()
    assert ("trains on plain rows" in log) == (family.trains == "plain")
    assert ("read its picture anew" in log) == (family.reads == "plain")
    training = json.loads(run.round(1).training.read_text())
    assert training["pairs"] >= 2
    before, after = (load(str(place), "float32", "cpu") for place in (folder, run.round(1).model))
    assert score(before) != score(after)
    assert LocalEngine(after).generate(requests()[:1], picture)[0].tokens


def test_a_finished_run_is_left_alone(run: RunFolder, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only the log grows."""

    def stamps() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in run.path.rglob("*") if path.suffix not in (".txt", "")}

    before = stamps()
    evolve(run.path.parent, folder, "run")
    assert "nothing is left to do" in capsys.readouterr().out
    assert stamps() == before


@pytest.mark.slow
def test_made_in_two_goes_it_is_the_same_model(run: RunFolder, folder: Path) -> None:
    """First the pairs alone, then the rest: every byte of the new model is that of the undisturbed run's."""
    place = run.path.parent
    start = ["pairs", str(place / "recipe.yaml"), "--model", str(folder), "--images", str(place / "photos")]
    assert run_program([*start, "--out", str(place / "again")]) == 0
    evolve(place, folder, "again")
    model, again = (each.round(1).model for each in (run, RunFolder(place / "again")))
    assert (again / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_two_rounds_with_adapters_in_half_precision(folder: Path, tmp_path: Path) -> None:
    """Adapters of round 1 are merged, round 2 starts from there, and what it leaves is a whole model that loads."""
    write_pictures(tmp_path / "photos", [f"{shape}-{letter}" for shape in SIZES for letter in "efg"])
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**RECIPE, "lora": {"r": 4, "alpha": 8}}))
    settings = ("train.method=lora", "model.dtype=bfloat16", "train.learning_rate=1e-2")
    evolve(tmp_path, folder, "run", "--rounds", "2", *(part for each in settings for part in ("--set", each)))
    first, second = (load(str(RunFolder(tmp_path / "run").round(number).model), "float32", "cpu") for number in (1, 2))
    assert score(load(str(folder), "float32", "cpu")) != score(first) != score(second)
    assert not any("lora" in name for name, _ in second.model.named_parameters())
