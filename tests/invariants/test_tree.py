"""Tree and plain batch are the same numbers, whatever the pairs share and however they are cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from sena.align import modes, plain, reference, selftest, trainer, tree_forward, tree_mask
from sena.align.config import AlignSettings
from sena.align.metrics import StepMetrics
from sena.align.plain import Encoded, Forward, LogProbs
from sena.align.tree_forward import TreeForward
from sena.models.load import load
from sena.models.vlm import VLM
from tests.align import families, world
from tests.tiny import tiny_llava

TREES = TreeForward(8192)
END = 2


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> VLM:
    """Shared by the tests that change no weight."""
    return load(str(tiny_folder), dtype="float32", device="cpu")


class Both(NamedTuple):
    """What a forward gives: log-probabilities and gradients (one long vector)."""

    found: LogProbs
    gradient: torch.Tensor


def measure(vlm: VLM, pairs: Sequence[Encoded], forward: Forward) -> Both:
    found = forward(vlm, pairs)
    weights = [weight for _, weight in modes.learning(vlm)]
    goal = (found.chosen - 0.7 * found.rejected + found.chosen / found.chosen_tokens).sum()
    gradients = torch.autograd.grad(goal, weights, allow_unused=True)
    long = torch.cat([each.float().flatten() for each in gradients if each is not None])
    return Both(LogProbs(*(column.detach() for column in found)), long)


def compare(one: Both, other: Both, nats: float = 3e-5, relative: float = 1e-5) -> None:
    torch.testing.assert_close(one.found.chosen, other.found.chosen, rtol=0, atol=nats)
    torch.testing.assert_close(one.found.rejected, other.found.rejected, rtol=0, atol=nats)
    assert torch.equal(one.found.chosen_tokens, other.found.chosen_tokens)
    assert torch.equal(one.found.rejected_tokens, other.found.rejected_tokens)
    assert float((one.gradient - other.gradient).norm() / other.gradient.norm()) < relative


# Three letters only, so that prompts and answers share starts, repeat and continue one another.
letters = some.lists(some.sampled_from([70, 71, 72]), max_size=5)
prompts = letters.map(lambda ids: [*ids, 90])
answers = letters.map(lambda ids: [*ids, END])
images = some.lists(some.lists(some.tuples(prompts, answers, answers), min_size=1, max_size=4), min_size=1, max_size=3)


def encoded(vlm: VLM, drawn: list[list[tuple[list[int], list[int], list[int]]]]) -> list[Encoded]:
    """Pairs of ids behind a real prompt's beginning with its picture, images in turn as they would stand in a step."""
    bases = plain.encode_pairs(vlm, world.some_pairs(images=len(drawn), each=1), world.open_image)
    return [
        base._replace(
            prompt=[*base.prompt[: base.prompt.index(vlm.image_id) + 5], *prompt],
            chosen=chosen,
            rejected=rejected,
            pair=replace(base.pair, id=f"{base.pair.image_id}-{number}"),
        )
        for base, rows in zip(bases, drawn, strict=True)
        for number, (prompt, chosen, rejected) in enumerate(rows)
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=images, shuffle=some.randoms(use_true_random=False), block=some.sampled_from([7, 24, tree_mask.BLOCK]))
def test_random_trees(model: VLM, drawn: list, shuffle, block: int) -> None:  # type: ignore[no-untyped-def,type-arg]
    """One-token answers, one pair, many prompts, equal prompts, chosen equal to rejected, images in any order, and
    attention by few queries at a time or by all."""
    pairs = encoded(model, drawn)
    shuffle.shuffle(pairs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree_mask, "BLOCK", block)
        compare(measure(model, pairs, TREES), measure(model, pairs, plain.log_probabilities))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=images, budget=some.integers(min_value=1, max_value=400))
def test_divided_trees(model: VLM, drawn: list, budget: int) -> None:  # type: ignore[type-arg]
    """Whatever the budget, every pair goes through once, and sums and gradients are those of the whole."""
    pairs = encoded(model, drawn)
    batches = TreeForward(budget).cut(pairs)
    assert sorted(number for batch in batches for number in batch) == list(range(len(pairs)))
    whole = measure(model, pairs, TREES)
    parts = [measure(model, [pairs[number] for number in batch], TREES) for batch in batches]
    order = torch.tensor([number for batch in batches for number in batch]).argsort()
    columns = [torch.cat([part.found[column] for part in parts])[order] for column in range(4)]
    gradient = torch.stack([part.gradient for part in parts]).sum(0)
    compare(Both(LogProbs(*columns), gradient), whole)


def test_eager_attention(tiny: VLM) -> None:
    tiny.model.set_attn_implementation("eager")
    pairs = plain.encode_pairs(tiny, world.some_pairs(images=3, each=3), world.open_image)
    compare(measure(tiny, pairs, TREES), measure(tiny, pairs, plain.log_probabilities))


@pytest.mark.parametrize("block", [16, tree_mask.BLOCK])
@pytest.mark.parametrize("name", families.FAMILIES)
def test_families(name: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Grouped heads, positions of three axes, features added inside the language model; the self-test agrees."""
    monkeypatch.setattr(tree_mask, "BLOCK", block)
    vlm, pairs = families.make(name)
    compare(measure(vlm, pairs, TREES), measure(vlm, pairs, plain.log_probabilities))
    assert selftest.find_fault(vlm, pairs, TREES) == ""


@pytest.mark.parametrize("name", families.FAMILIES)
def test_every_layer_goes_by_blocks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mask arrives as the kind that it is, also where activation checkpointing computes a layer again."""
    attend, lengths = tree_mask._attend, list[int]()

    def noted(query: torch.Tensor, *given: torch.Tensor, **settings: Any) -> torch.Tensor:
        lengths.append(query.shape[-2])
        return attend(query, *given, **settings)

    monkeypatch.setattr(tree_mask, "BLOCK", 16)
    monkeypatch.setattr(tree_mask, "_attend", noted)
    vlm, pairs = families.make(name)
    layers = vlm.model.config.get_text_config().num_hidden_layers
    modes.prepare_full(vlm)
    kept = measure(vlm, pairs, TREES)
    assert len(lengths) == layers
    assert min(lengths) > 16
    modes.set_training(vlm, checkpointing=True)
    compare(measure(vlm, pairs, TREES), kept)
    assert len(lengths) == 3 * layers


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("name", families.FAMILIES)
def test_the_tower_reads_a_picture_once_and_keeps_nothing(name: str, lora: bool) -> None:
    """Three pairs on each of two pictures: both pictures go through it, for six pairs, and leave no graph."""
    vlm, pairs = families.make(name)
    vlm = modes.prepare_lora(vlm, world.settings(lora=True).lora, seed=0) if lora else modes.prepare_full(vlm)
    modes.set_training(vlm, checkpointing=True)
    inputs, outputs = list[torch.Tensor](), list[torch.Tensor]()

    def watch(tower: object, plainly: tuple, named: dict, made: tuple) -> None:  # type: ignore[type-arg]
        inputs.append(named["pixel_values"] if "pixel_values" in named else plainly[0])
        outputs.append(made[0])

    modes.tower(vlm.model).register_forward_hook(watch, with_kwargs=True)
    found = TREES(vlm, pairs)
    both = torch.cat([pairs[0].pixels.tensors["pixel_values"], pairs[-1].pixels.tensors["pixel_values"]])
    assert torch.equal(torch.cat(inputs), both)
    assert found.chosen.requires_grad
    assert [output.requires_grad for output in outputs] == [False]


@pytest.mark.parametrize("name", ["qwen2_5_vl", "qwen3_vl"])
def test_axes_count(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With counted positions in the tree the numbers are others, and the self-test finds it."""
    vlm, pairs = families.make(name)
    monkeypatch.setattr(tree_forward, "along_branches", lambda vlm, trees, depths: depths)
    assert "log-probabilities of a tree differ" in selftest.find_fault(vlm, pairs, TREES)


def test_adapters(tiny: VLM) -> None:
    """With weights that have moved: fresh adapters give zero, and a gradient to half of themselves only."""
    vlm = modes.prepare_lora(tiny, world.settings(lora=True).lora, seed=0)
    modes.set_training(vlm, checkpointing=True)
    with torch.no_grad():
        for _, weight in modes.learning(vlm):
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)), alpha=0.05)
    pairs = plain.encode_pairs(vlm, world.some_pairs(images=3, each=3), world.open_image)
    compare(measure(vlm, pairs, TREES), measure(vlm, pairs, plain.log_probabilities))


def test_bfloat16(tiny_folder: Path) -> None:
    """Both differ from float32 by its rounding, and from one another by no more than twice that."""
    low, high = (load(str(tiny_folder), dtype, "cpu") for dtype in ("bfloat16", "float32"))
    pairs = plain.encode_pairs(low, world.some_pairs(images=3, each=3), world.open_image)
    trees, rows, truth = (
        measure(vlm, pairs, forward)
        for vlm, forward in ((low, TREES), (low, plain.log_probabilities), (high, plain.log_probabilities))
    )
    rounding = float((rows.found.chosen - truth.found.chosen).abs().max())
    assert 0 < rounding < 0.5
    assert float((trees.found.chosen - rows.found.chosen).abs().max()) < 2 * rounding
    length = truth.gradient.norm()
    assert (
        float((trees.gradient - rows.gradient).norm() / length) < 2 * (rows.gradient - truth.gradient).norm() / length
    )


def test_logits_in_chunks(tiny: VLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for four rows of logits at a time."""
    pairs = plain.encode_pairs(tiny, world.some_pairs(images=3, each=2), world.open_image)
    whole = measure(tiny, pairs, TREES)
    monkeypatch.setattr(tree_forward, "HEAD_ELEMENTS", 4 * tiny.model.config.text_config.vocab_size)
    compare(measure(tiny, pairs, TREES), whole)


def test_prompts_that_part_before_the_picture(tiny: VLM) -> None:
    """The picture then stands in the tree once for each of them."""
    pairs = plain.encode_pairs(tiny, world.some_pairs(images=2, each=3), world.open_image)
    moved = [pair._replace(prompt=[1, 70 + number % 2, *pair.prompt[1:]]) for number, pair in enumerate(pairs)]
    compare(measure(tiny, moved, TREES), measure(tiny, moved, plain.log_probabilities))


def test_the_head_sees_what_predicts_and_the_tower_each_picture_once(tiny: VLM) -> None:
    pairs = plain.encode_pairs(tiny, world.some_pairs(images=2, each=3), world.open_image)
    rows, pictures = list[int](), list[int]()
    tiny.model.lm_head.register_forward_hook(lambda module, inputs, out: rows.append(out.numel() // out.shape[-1]))
    tiny.model.model.vision_tower.register_forward_pre_hook(
        lambda module, args, inputs: pictures.append(len(args[0] if args else inputs["pixel_values"])), with_kwargs=True
    )
    TREES(tiny, pairs)
    assert pictures == [2]
    assert rows[0] <= sum(len(pair.chosen) + len(pair.rejected) for pair in pairs) - len(pairs)  # firsts are shared


def test_branches_that_see_one_another_fail(tiny: VLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison has teeth: a causal mask over the layout, where a branch sees those before it, does not pass."""
    pairs = plain.encode_pairs(tiny, world.some_pairs(images=2, each=2), world.open_image)
    rows = measure(tiny, pairs, plain.log_probabilities)
    monkeypatch.setattr(
        tree_forward, "attention_mask", lambda sees, attention, dtype: torch.ones_like(sees).tril()[:, None]
    )
    wrong = measure(tiny, pairs, TREES)
    assert float((wrong.found.chosen - rows.found.chosen).abs().max()) > 0.01
    assert float((wrong.gradient - rows.gradient).norm() / rows.gradient.norm()) > 0.01


Run = tuple[VLM, list[StepMetrics]]


def train(folder: Path, place: Path, chosen: AlignSettings, forward: Forward, stop_at: int = -1) -> Run:
    """A whole training half: references, then policy, by one forward."""
    vlm, told = load(str(folder), "float32", "cpu"), list[StepMetrics]()

    def on_step(step: StepMetrics) -> None:
        told.append(step)
        if step.step == stop_at:
            raise KeyboardInterrupt

    pairs = world.some_pairs(images=4, each=3)
    references = reference.compute(vlm, pairs, world.open_image, place / "reference", 3, forward)
    data = trainer.Preferences(pairs, world.open_image, references, world.LOSS)
    policy, _ = trainer.train(vlm, data, chosen, 3, place / "checkpoints", on_step, forward)
    return policy, told


@pytest.mark.parametrize("lora", [False, True])
def test_training_on_trees_is_training_on_rows(tiny_folder: Path, tmp_path: Path, lora: bool) -> None:
    """Six steps; weights whose gradient is about nothing may go either way, so weights are compared by their mean."""
    chosen = world.settings(lora=lora, pairs_per_step=6, epochs=3)
    rows, told = train(tiny_folder, tmp_path / "rows", chosen, plain.log_probabilities)
    trees, told_trees = train(tiny_folder, tmp_path / "trees", chosen, TreeForward(150))
    assert abs(told_trees[0].dpo - 0.693147) < 1e-4
    for one, other in zip(told, told_trees, strict=True):
        assert one.loss == pytest.approx(other.loss, abs=2e-4)
        assert one.grad_norm == pytest.approx(other.grad_norm, rel=1e-3)
        assert one.rewards_accuracies == other.rewards_accuracies or one.step == 0  # ties before the first update
    states = rows.model.state_dict(), trees.model.state_dict()
    assert max(float((states[0][name] - states[1][name]).abs().mean()) for name in states[0]) < 2e-5


def test_stopped_and_resumed_on_trees_is_undisturbed_to_the_bit(tiny_folder: Path, tmp_path: Path) -> None:
    chosen = world.settings(pairs_per_step=6, epochs=3, save_every=2, schedule="cosine")
    whole, told = train(tiny_folder, tmp_path / "whole", chosen, TreeForward(150))
    with pytest.raises(KeyboardInterrupt):
        train(tiny_folder, tmp_path / "stopped", chosen, TreeForward(150), stop_at=4)
    again, rest = train(tiny_folder, tmp_path / "stopped", chosen, TreeForward(150))
    assert [step.step for step in rest] == [4, 5]
    assert [step.loss for step in rest] == [step.loss for step in told[4:]]
    states = whole.model.state_dict(), again.model.state_dict()
    assert [name for name in states[0] if not torch.equal(states[0][name], states[1][name])] == []


def test_metrics_stand_beside_their_pairs(tiny_folder: Path, tmp_path: Path) -> None:
    """Trees go by length, not in the step's order: a loss that is no number must still name its own pair."""
    vlm = load(str(tiny_folder), "float32", "cpu")
    pairs = world.some_pairs(images=4, each=2)
    pairs[2] = replace(pairs[2], chosen="a much longer answer than any of the others has")
    found = reference.compute(vlm, pairs, world.open_image, tmp_path / "reference", 3, TreeForward(150))
    found["pair31"] = found["pair31"]._replace(chosen=float("nan"))
    data = trainer.Preferences(pairs, world.open_image, found, world.LOSS)
    with pytest.raises(Exception, match=r"make it so: pair31$"):
        trainer.train(vlm, data, world.settings(pairs_per_step=8), 0, tmp_path / "c", forward=TreeForward(150))


def test_tied_weights(tmp_path: Path) -> None:
    vlm = load(str(tiny_llava(tmp_path, tied=True)), "float32", "cpu")
    pairs = plain.encode_pairs(vlm, world.some_pairs(images=2, each=3), world.open_image)
    compare(measure(vlm, pairs, TREES), measure(vlm, pairs, plain.log_probabilities))
