"""A step's gradient when the memory does not suffice: batches are halved, the step stays the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from sena.align import plain, trainer
from sena.align.metrics import StepMetrics
from sena.align.tree_forward import TreeForward
from sena.errors import SenaError
from sena.models.load import load
from sena.models.vlm import VLM
from tests.align.world import preferences, settings, some_pairs

Run = tuple[VLM, list[StepMetrics]]


class Tight(TreeForward):
    """Trees on a device where the last image's pairs do not fit when anything else goes with them."""

    def __call__(self, vlm: VLM, pairs: Sequence[plain.Encoded]) -> plain.LogProbs:
        _demand_room(pairs, 2)
        return TreeForward.__call__(self, vlm, pairs)


def tight_rows(vlm: VLM, pairs: Sequence[plain.Encoded]) -> plain.LogProbs:
    """The same for rows, one pair at a time."""
    _demand_room(pairs, 1)
    return plain.log_probabilities(vlm, pairs)


def _demand_room(pairs: Sequence[plain.Encoded], most: int) -> None:
    if len(pairs) > most and any(each.pair.image_id == "image3" for each in pairs):
        raise torch.OutOfMemoryError("no room")


def run(folder: Path, place: Path, forward: plain.Forward, **train: object) -> Run:
    vlm, told = load(str(folder), "float32", "cpu"), list[StepMetrics]()
    chosen = settings(pairs_per_step=8, epochs=2, **train)
    policy, _ = trainer.train(vlm, preferences(vlm, place / "r"), chosen, 0, place / "c", told.append, forward)
    return policy, told


def equal(one: Run, other: Run) -> bool:
    states = one[0].model.state_dict(), other[0].model.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_halved_rows_are_the_step_in_smaller_batches(tiny_folder: Path, tmp_path: Path) -> None:
    """8 pairs at once do not fit, 4 and 2 neither; singly they are to the bit what `pairs_per_batch: 1` gives. The
    batch that fails is not the first of its step, so gradients of earlier ones must have been dropped."""
    wanted = run(tiny_folder, tmp_path / "a", plain.log_probabilities, pairs_per_batch=1)
    found = run(tiny_folder, tmp_path / "b", tight_rows, pairs_per_batch=4)
    assert [step.halvings for step in found[1]] == [2, 2]
    assert [step.halvings for step in wanted[1]] == [0, 0]
    assert [step.loss for step in found[1]] == [step.loss for step in wanted[1]]
    assert equal(found, wanted)


def test_halved_trees(tiny_folder: Path, tmp_path: Path) -> None:
    whole = run(tiny_folder, tmp_path / "a", TreeForward(1024))
    found = run(tiny_folder, tmp_path / "b", Tight(1024))
    assert all(step.halvings > 0 for step in found[1])
    for one, other in zip(whole[1], found[1], strict=True):
        assert one.loss == pytest.approx(other.loss, abs=1e-5)
        assert one.grad_norm == pytest.approx(other.grad_norm, rel=1e-4)


def test_a_single_pair_that_does_not_fit_is_told(tiny: VLM, tmp_path: Path) -> None:
    def full(vlm: VLM, pairs: Sequence[plain.Encoded]) -> plain.LogProbs:
        raise torch.OutOfMemoryError("no room")

    data = preferences(tiny, tmp_path / "r", some_pairs(images=2))
    with pytest.raises(SenaError, match=r"out of memory with a single pair: set train.gradient_checkpointing=true"):
        trainer.train(tiny, data, settings(), 0, tmp_path / "c", forward=full)
