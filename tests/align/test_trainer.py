"""The loop: what it refuses, what it tells, which weights it moves."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from sena.align import modes, plain, trainer, work
from sena.align.config import DpoConfig
from sena.align.metrics import StepMetrics
from sena.align.reference import Reference
from sena.errors import ModelError, NonFiniteError, SenaError
from sena.models.vlm import VLM
from sena.recipes import names
from tests.align import families
from tests.align.world import LOSS, open_image, preferences, settings, some_pairs


def weights(vlm: VLM) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in vlm.model.state_dict().items()}


def test_metrics(tiny: VLM, tmp_path: Path) -> None:
    """8 pairs, 4 a step: two steps. The first has margin 0 and its content term is half the descriptions' mean NLL."""
    data, told = preferences(tiny, tmp_path / "reference"), list[StepMetrics]()
    _, summary = trainer.train(tiny, data, settings(), 0, tmp_path / "checkpoints", told.append)
    first = told[0]
    assert [(each.step, each.steps, each.pairs) for each in told] == [(0, 2, 4), (1, 2, 4)]
    assert first.dpo == pytest.approx(math.log(2), abs=1e-4)
    assert first.loss == pytest.approx(first.dpo + first.content)
    assert first.rewards_margins == pytest.approx(0, abs=1e-4)
    assert first.grad_norm > 0
    assert first.learning_rate == 1e-3
    assert (summary.steps, summary.pairs, summary.resumed_at) == (2, 8, 0)
    assert summary.first_dpo == first.dpo
    assert {"loss/dpo", "loss/content", "rewards/accuracies", "logps/chosen", "grad_norm"} <= set(first.named())


def test_tokens_and_utilisation(tiny: VLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said of a peak on a CPU. With one, the share is what the tokens cost, by the time that they took."""
    data, told = preferences(tiny, tmp_path / "reference"), list[StepMetrics]()
    trainer.train(tiny, data, settings(pairs_per_step=8, learning_rate=0), 0, tmp_path / "c", told.append)
    assert told[0].mfu is None
    assert "mfu" not in told[0].named()
    monkeypatch.setattr(work, "peak", lambda device, dtype: 1e9)
    monkeypatch.setattr(work, "costs", lambda model: work.Costs(1000, 0))
    trainer.train(tiny, data, settings(pairs_per_step=8, learning_rate=0), 0, tmp_path / "d", told.append)
    encoded = plain.encode_pairs(tiny, data.pairs, open_image)
    tokens = sum(2 * len(each.prompt) + len(each.chosen) + len(each.rejected) for each in encoded)
    assert told[1].tokens_per_second / told[1].pairs_per_second == pytest.approx(tokens / 8)
    assert told[1].named()["mfu"] == pytest.approx(told[1].tokens_per_second * 1000 / 1e9)


def test_content_mean(tiny_folder: Path, tmp_path: Path) -> None:
    """All 4 pairs in one step, 2 of them descriptions: `described` divides by 2 instead of 4, so it is twice as large.

    By hand from the references: sum of -chosen / tokens over the descriptions, divided by 4.
    """
    from sena.models.load import load

    told: list[StepMetrics] = []
    for mean in ("all_pairs", "described"):
        vlm = load(str(tiny_folder), "float32", "cpu")
        data = preferences(vlm, tmp_path / "reference", some_pairs(images=2))
        trainer.train(vlm, data, settings(mean), 0, tmp_path / mean, told.append)
    stored = [data.reference[pair.id] for pair in data.pairs if pair.kind == "description"]
    by_hand = sum(-each.chosen / each.chosen_tokens for each in stored) / 4
    assert told[0].content == pytest.approx(by_hand, rel=1e-4)
    assert told[1].content == pytest.approx(2 * by_hand, rel=1e-4)


def test_full_moves_all_but_the_tower(tiny: VLM, tmp_path: Path) -> None:
    before, data = weights(tiny), preferences(tiny, tmp_path / "reference")
    after, _ = trainer.train(tiny, data, settings(), 0, tmp_path / "checkpoints")
    moved = {name for name, tensor in after.model.state_dict().items() if not torch.equal(tensor, before[name])}
    still = set(before) - moved
    assert still == {name for name in before if "vision_tower" in name}
    assert not after.model.training
    assert not any(weight.requires_grad or weight.grad is not None for weight in after.model.parameters())


def moves(vlm: VLM, folder: Path, **train: object) -> tuple[float, float]:
    """Largest movement of a projector's weight, and of one of the language model, in one step of rate 1e-3."""
    before, data = weights(vlm), preferences(vlm, folder / "reference")
    after, _ = trainer.train(vlm, data, settings(pairs_per_step=8, **train), 0, folder / "checkpoints")
    gaps = {name: float((tensor - before[name]).abs().max()) for name, tensor in after.model.state_dict().items()}
    projector = [gap for name, gap in gaps.items() if "projector" in name]
    return max(projector), max(gap for name, gap in gaps.items() if "projector" not in name)


def test_the_projectors_own_rate(tiny: VLM, tmp_path: Path) -> None:
    """AdamW's first step is as long as the rate, whatever the gradient."""
    assert moves(tiny, tmp_path / "a", projector_learning_rate=1e-4) == pytest.approx((1e-4, 1e-3), rel=0.01)
    assert moves(tiny, tmp_path / "b", projector_learning_rate=None) == pytest.approx((1e-3, 1e-3), rel=0.01)
    assert moves(tiny, tmp_path / "c", projector_learning_rate=1e-4, learning_rate=0)[1] == 0
    eight = moves(tiny, tmp_path / "d", projector_learning_rate=1e-4, optimizer="adamw_8bit")
    assert eight == pytest.approx((1e-4, 1e-3), rel=0.01)


def test_a_frozen_projector(tiny: VLM, tmp_path: Path) -> None:
    """It takes no memory for gradients and states either."""
    assert moves(tiny, tmp_path, projector_learning_rate=0) == (0, pytest.approx(1e-3, rel=0.01))
    learning = modes.learning(modes.prepare_full(tiny, projector=False))
    assert not any("projector" in name or "vision" in name for name, _ in learning)
    assert set(modes.projector_weights(tiny.model)) == {
        f"model.multi_modal_projector.linear_{layer}.{kind}" for layer in (1, 2) for kind in ("weight", "bias")
    }


def test_a_projector_that_cannot_learn(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="with method lora only adapters learn"):
        settings(lora=True, projector_learning_rate=1e-4)
    qwen, _ = families.make("qwen2_5_vl")
    with pytest.raises(ModelError, match="projector is a part of its vision tower"):
        trainer._with_own_rate(qwen, settings(projector_learning_rate=1e-4))


def test_training_lowers_the_loss(tiny: VLM, tmp_path: Path) -> None:
    data, told = preferences(tiny, tmp_path / "reference"), list[StepMetrics]()
    trainer.train(tiny, data, settings(epochs=30, pairs_per_step=8), 0, tmp_path / "checkpoints", told.append)
    assert told[-1].loss < told[0].loss - 0.5
    assert told[-1].rewards_accuracies == 1.0
    assert told[-1].rewards_margins > 0.2


def test_swapped_pairs_move_the_other_way(tiny_folder: Path, tmp_path: Path) -> None:
    """The same pairs the right way and the wrong way round: log p(a) - log p(b) rises in one and falls in the other."""
    from sena.models.load import load

    pairs = some_pairs()
    swapped = [replace(pair, chosen=pair.rejected, rejected=pair.chosen) for pair in pairs]
    changes: list[float] = []
    for name, side in (("right", pairs), ("swapped", swapped)):
        vlm = load(str(tiny_folder), "float32", "cpu")
        data = preferences(vlm, tmp_path / name, side)
        start = sum(margin(data.reference[pair.id]) for pair in pairs)
        policy, _ = trainer.train(vlm, data, settings(weight=0, epochs=5), 0, tmp_path / f"{name}-c")
        end = sum(margin(each) for each in preferences(policy, tmp_path / f"{name}-after", side).reference.values())
        changes.append((end - start) * (1 if name == "right" else -1))
    assert changes[0] > 1
    assert changes[1] < -1


def margin(each: Reference) -> float:
    return each.chosen - each.rejected


def test_no_number_in_the_loss_names_its_pairs(tiny: VLM, tmp_path: Path) -> None:
    def broken(vlm: VLM, pairs: list[plain.Encoded]) -> plain.LogProbs:
        found = plain.log_probabilities(vlm, pairs)
        factor = torch.tensor([float("nan") if each.pair.id == "pair20" else 1.0 for each in pairs])
        return found._replace(rejected=found.rejected * factor)

    data, before = preferences(tiny, tmp_path / "reference"), weights(tiny)
    with pytest.raises(NonFiniteError, match=r"make it so: pair20$"):
        trainer.train(tiny, data, settings(pairs_per_step=8), 0, tmp_path / "c", forward=broken)  # type: ignore[arg-type]
    assert all(torch.equal(tensor, before[name]) for name, tensor in tiny.model.state_dict().items())


def test_no_number_in_a_gradient_names_the_step(tiny: VLM, tmp_path: Path) -> None:
    data, before = preferences(tiny, tmp_path / "reference", some_pairs(images=1)), weights(tiny)
    tiny.model.lm_head.weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(NonFiniteError, match=r"gradient of step 0 is no number. Its pairs: pair00, pair01"):
        trainer.train(tiny, data, settings(), 0, tmp_path / "c")
    assert all(torch.equal(tensor, before[name]) for name, tensor in tiny.model.state_dict().items())


def test_foreign_references_are_told_before_anything_moves(tiny: VLM, tmp_path: Path) -> None:
    data, before = preferences(tiny, tmp_path / "reference"), weights(tiny)
    wrong = {name: each._replace(chosen=each.chosen - 2) for name, each in data.reference.items()}
    with pytest.raises(SenaError, match=r"instead of 0\.6931.* 2\.000 nats"):
        trainer.train(tiny, replace(data, reference=wrong), settings(), 0, tmp_path / "c")
    assert all(torch.equal(tensor, before[name]) for name, tensor in tiny.model.state_dict().items())


def off_by_two(each: Reference) -> Reference:
    return each._replace(chosen=each.chosen - 2)


@pytest.mark.parametrize("loss", ["sigmoid", "smooth", "ipo", "simpo", "orpo"])
@pytest.mark.parametrize("by_token", [False, True])
def test_every_loss_trains_and_is_checked_where_it_asks_a_reference(
    tiny: VLM, tmp_path: Path, loss: str, by_token: bool
) -> None:
    """Where policy and reference agree IPO is 1 / (4 x .5^2) = 1, the other two log 2."""
    config = DpoConfig.model_validate({"loss": loss, "beta": 0.5, "per_token": by_token})
    chosen = settings(epochs=3, pairs_per_step=8, weight=0, learning_rate=1e-4).model_copy(update={"dpo": config})
    data, told = preferences(tiny, tmp_path / "reference", loss=names.loss(config)), list[StepMetrics]()
    wrong = replace(data, reference={name: off_by_two(each) for name, each in data.reference.items()})
    has_reference = loss not in ("simpo", "orpo")
    if has_reference:
        with pytest.raises(SenaError, match=r"instead of (1\.0000|0\.6931).* 2\.000 nats"):
            trainer.train(tiny, wrong, chosen, 0, tmp_path / "w")
    trainer.train(tiny, data if has_reference else wrong, chosen, 0, tmp_path / "c", told.append)
    if has_reference:
        assert told[0].dpo == pytest.approx(1.0 if loss == "ipo" else math.log(2), abs=1e-4)
    assert told[-1].loss < told[0].loss
    assert told[-1].rewards_margins > told[0].rewards_margins


def test_a_checkpoint_belongs_to_one_loss(tiny: VLM, tmp_path: Path) -> None:
    data, keys = preferences(tiny, tmp_path / "reference"), set[str]()
    for change in ({}, {"loss": "ipo"}, {"per_token": True}, {"loss": "simpo", "gamma": 0.5}, {"loss": "simpo"}):
        chosen = settings().model_copy(update={"dpo": DpoConfig.model_validate(change)})
        keys.add(trainer.make_key(data, chosen, 0))
    assert len(keys) == 5


def test_missing_references_and_no_pairs(tiny: VLM, tmp_path: Path) -> None:
    with pytest.raises(SenaError, match="8 pairs have no reference"):
        trainer.train(tiny, trainer.Preferences(some_pairs(), open_image, {}, LOSS), settings(), 0, tmp_path)
    with pytest.raises(SenaError, match="no pairs"):
        trainer.train(tiny, trainer.Preferences([], open_image, {}, LOSS), settings(), 0, tmp_path)


def test_lora_targets(tiny: VLM) -> None:
    names = modes.linear_names(tiny.model, ["q_proj", "down_proj"])
    assert len(names) == 4
    assert all("language_model" in name and name.endswith(("q_proj", "down_proj")) for name in names)
    assert len(modes.linear_names(tiny.model, [])) == 14
    with pytest.raises(ModelError, match=r"no linear layer is called query: .* may hold down_proj, .*v_proj"):
        modes.linear_names(tiny.model, ["query"])


def test_dropout_is_silent(tiny: VLM) -> None:
    tiny.model.model.language_model.layers[0].self_attn.attention_dropout = 0.5
    tiny.model.add_module("drop", torch.nn.Dropout(0.5))
    pairs = plain.encode_pairs(tiny, some_pairs(images=1), open_image)
    modes.set_training(modes.prepare_full(tiny), checkpointing=True)
    with torch.no_grad():
        one, two = (plain.log_probabilities(tiny, pairs).chosen for _ in range(2))
    assert tiny.model.training
    assert not tiny.model.model.vision_tower.training
    assert tiny.model.drop.p == 0
    assert torch.equal(one, two)
