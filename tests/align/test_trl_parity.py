"""Our loss and gradient against those of TRL's own `DPOTrainer`: the same tiny LLaVA, reference and pairs."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from sena.align import gradient, modes, plain, reference
from sena.align.config import AlignmentConfig, AlignSettings, DpoConfig
from sena.align.plain import Forward
from sena.align.tree_forward import TreeForward
from sena.models.vlm import VLM
from sena.recipes import names
from sena.records import Pair
from tests.align.world import open_image, some_pairs

BETA = 0.3
PAIRS = tuple(some_pairs(images=3, each=2))
FORWARDS: dict[str, Forward] = {"plain": plain.log_probabilities, "tree": TreeForward(150)}
Measured = tuple[float, dict[str, torch.Tensor]]


def square(image: str) -> Image.Image:
    """As LLaVA's own code does we pad to a square, where the processor that TRL uses crops: so here are squares."""
    return open_image(image).resize((28, 28))


def row(vlm: VLM, pair: Pair) -> dict[str, Any]:
    """The text that our template makes, as TRL takes it: plain strings, both ends written out."""
    template, begin, end = vlm.template, vlm.tokenizer.bos_token, vlm.tokenizer.eos_token
    return {
        "prompt": f"{begin}{template.before_image}{pair.prompt}{template.after}",
        "chosen": f"{template.separator}{pair.chosen}{end}",
        "rejected": f"{template.separator}{pair.rejected}{end}",
        "images": [square(pair.image_id)],
    }


def theirs(vlm: VLM, start: VLM, loss: str, place: Path) -> Measured:
    """Loss and gradients of `vlm` by TRL, all pairs in one batch, with `start` as the reference."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    arguments = DPOConfig(
        output_dir=str(place),
        loss_type=[loss],
        beta=BETA,
        per_device_train_batch_size=len(PAIRS),
        gradient_checkpointing=False,
        max_length=None,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        bf16=False,
    )
    tutor = DPOTrainer(
        vlm.model,
        ref_model=start.model,
        args=arguments,
        train_dataset=Dataset.from_list([row(vlm, pair) for pair in PAIRS]),
        processing_class=vlm.processor,
    )
    batch = tutor.data_collator([tutor.train_dataset[number] for number in range(len(PAIRS))])
    encoded = plain.encode_pairs(vlm, PAIRS, square)
    ids = [each[mask.bool()].tolist() for each, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)]
    assert ids == [each.prompt + each.chosen for each in encoded] + [each.prompt + each.rejected for each in encoded]
    value = tutor.compute_loss(vlm.model, batch)
    value.backward()
    return value.item(), gradients(vlm)


def ours(vlm: VLM, start: VLM, config: DpoConfig, forward: Forward, place: Path) -> Measured:
    """The same by our step, in batches of a few pairs."""
    known = reference.compute(start, PAIRS, square, place, 4, forward)
    data = gradient.Preferences(PAIRS, square, known, names.loss(config))
    settings = AlignSettings(dpo=config, alignment=AlignmentConfig(weight=0))
    found = gradient.take(gradient.Task(vlm, data, settings, forward), PAIRS)
    return float(found.rows[:, 0].mean()), gradients(vlm)


def gradients(vlm: VLM) -> dict[str, torch.Tensor]:
    """Taken off the weights."""
    found = {name: weight.grad.clone() for name, weight in modes.learning(vlm) if weight.grad is not None}
    vlm.model.zero_grad(set_to_none=True)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("packing", FORWARDS)
@pytest.mark.parametrize(
    ("loss", "config"),
    [
        ("sigmoid", DpoConfig(beta=BETA)),
        ("sigmoid_norm", DpoConfig(beta=BETA, per_token=True)),
        ("ipo", DpoConfig(beta=BETA, loss="ipo", per_token=True)),
    ],
)
def test_loss_and_gradient_are_trls(tiny: VLM, tmp_path: Path, loss: str, config: DpoConfig, packing: str) -> None:
    """The policy has moved away from its reference by some noise, so that no margin is zero."""
    start = VLM(deepcopy(tiny.model), tiny.processor, tiny.template, tiny.name)
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in tiny.model.parameters():
            weight += 0.05 * torch.randn_like(weight)
    policy = modes.prepare_full(tiny)
    value, slopes = theirs(policy, start, loss, tmp_path / "trl")
    modes.set_training(policy, False)
    found, mine = ours(policy, start, config, FORWARDS[packing], tmp_path / "ours")
    assert value != pytest.approx(names.loss(config).at_reference, abs=1e-3)
    assert found == pytest.approx(value, rel=1e-4)
    assert mine.keys() == slopes.keys()
    length = torch.stack([slope.norm() for slope in slopes.values()]).norm()
    gaps = {name: float((mine[name] - slope).norm() / length) for name, slope in slopes.items()}
    assert max(gaps.values()) < 1e-4, gaps
