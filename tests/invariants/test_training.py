"""What must agree in training, however it is cut, stored, stopped or packed."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from sena.align import trainer
from sena.align.config import AlignSettings
from sena.align.metrics import StepMetrics
from sena.errors import RunFolderError
from sena.models.load import load, save
from sena.models.vlm import VLM
from tests.align.world import open_image, preferences, settings, some_pairs
from tests.tiny import tiny_llava

Run = tuple[VLM, list[StepMetrics]]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small lose more to a second thread than they gain, above all on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def fresh(folder: Path, dtype: str = "float32") -> VLM:
    return load(str(folder), dtype=dtype, device="cpu")


def run(folder: Path, place: Path, chosen: AlignSettings, dtype: str = "float32") -> Run:
    """A whole training half: references, then policy."""
    vlm, told = fresh(folder, dtype), list[StepMetrics]()
    policy, _ = trainer.train(vlm, preferences(vlm, place / "reference"), chosen, 3, place / "checkpoints", told.append)
    return policy, told


def differing(one: VLM, other: VLM) -> list[str]:
    """Names of weights that are not equal to the bit."""
    states = one.model.state_dict(), other.model.state_dict()
    assert states[0].keys() == states[1].keys()
    return [name for name in states[0] if not torch.equal(states[0][name], states[1][name])]


@pytest.mark.parametrize("mean", ["all_pairs", "described"])
@pytest.mark.parametrize("size", [1, 3])
def test_batches_and_accumulation(tiny_folder: Path, tmp_path: Path, mean: str, size: int) -> None:
    """8 pairs in batches of 1 or 3, 3, 2 are the same step as all 8 at once.

    AdamW's first steps have the size of the rate whatever the gradient's, so weights whose gradient is about nothing
    may go either way: they are compared by their mean, the loss by value.
    """
    whole, told = run(tiny_folder, tmp_path / "a", settings(mean, pairs_per_step=8, pairs_per_batch=8, epochs=3))
    cut, told_cut = run(tiny_folder, tmp_path / "b", settings(mean, pairs_per_step=8, pairs_per_batch=size, epochs=3))
    for one, other in zip(told, told_cut, strict=True):
        assert one.loss == pytest.approx(other.loss, abs=2e-4)
        assert one.grad_norm == pytest.approx(other.grad_norm, rel=1e-3)
    states = whole.model.state_dict(), cut.model.state_dict()
    gaps = [(states[0][name] - states[1][name]).abs().mean() for name in states[0]]
    assert max(gaps) < 2e-5  # 2 % of one step of 1e-3, after three steps


@pytest.mark.parametrize("lora", [False, True])
def test_the_first_preference_loss_is_log_two(tiny_folder: Path, tmp_path: Path, lora: bool) -> None:
    """Cached references (batches of 3) against the live policy (batches of 2)."""
    _, told = run(tiny_folder, tmp_path, settings(lora=lora))
    assert told[0].dpo == pytest.approx(math.log(2), abs=1e-4)


def test_the_first_preference_loss_in_bfloat16(tiny_folder: Path, tmp_path: Path) -> None:
    policy, told = run(tiny_folder, tmp_path, settings(), dtype="bfloat16")
    assert told[0].dpo == pytest.approx(math.log(2), abs=0.05)
    assert policy.dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("lora", "optimizer"), [(False, "adamw"), (True, "adamw"), (False, "adamw_8bit")])
def test_stopped_and_resumed_is_undisturbed_to_the_bit(
    tiny_folder: Path, tmp_path: Path, lora: bool, optimizer: str, dtype: str
) -> None:
    """Six steps, a checkpoint every two. Stopped in step 5 (index 4), so that step 4's checkpoint is gone on from."""
    chosen = settings(lora=lora, epochs=3, save_every=2, schedule="cosine", optimizer=optimizer)
    undisturbed, told = run(tiny_folder, tmp_path / "whole", chosen, dtype)
    vlm, before = fresh(tiny_folder, dtype), list[StepMetrics]()

    def stop(step: StepMetrics) -> None:
        before.append(step)
        if step.step == 4:
            raise KeyboardInterrupt

    data = preferences(vlm, tmp_path / "killed")
    with pytest.raises(KeyboardInterrupt):
        trainer.train(vlm, data, chosen, 3, tmp_path / "c", stop)
    after: list[StepMetrics] = []
    torch.rand(5)  # whatever else drew random numbers in between
    policy, summary = trainer.train(fresh(tiny_folder, dtype), data, chosen, 3, tmp_path / "c", after.append)
    assert summary.resumed_at == 4
    assert [each.step for each in before + after] == [0, 1, 2, 3, 4, 4, 5]
    assert [each.loss for each in before[:4] + after] == [each.loss for each in told]
    assert differing(policy, undisturbed) == []


KILLED_BETWEEN_TENSORS_AND_MANIFEST = """
import os, signal, sys
from pathlib import Path
import torch
from sena import files
from sena.models.load import load
from tests.align.world import preferences, settings
from sena.align import trainer

torch.set_num_threads(1)
write, place = files.write_json, Path(sys.argv[2])

def write_or_die(path, value):
    if path.parent.name == "step-000004":
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, value)

files.write_json = write_or_die
vlm = load(sys.argv[1], dtype="float32", device="cpu")
trainer.train(vlm, preferences(vlm, place / "reference"), settings(epochs=3, save_every=2), 3, place / "checkpoints")
"""


@pytest.mark.slow
def test_killed_while_a_checkpoint_is_written(tiny_folder: Path, tmp_path: Path) -> None:
    """SIGKILL when step 4's tensors are there and its manifest is not: step 2 is gone on from, to the same bits."""
    arguments = [sys.executable, "-c", KILLED_BETWEEN_TENSORS_AND_MANIFEST, str(tiny_folder), str(tmp_path)]
    ended = subprocess.run(arguments, cwd=Path(__file__).parents[2], capture_output=True, timeout=120, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert (tmp_path / "checkpoints" / "step-000004" / "tensors.safetensors").exists()
    chosen, vlm = settings(epochs=3, save_every=2), fresh(tiny_folder)
    data = preferences(vlm, tmp_path / "reference")
    policy, summary = trainer.train(vlm, data, chosen, 3, tmp_path / "checkpoints")
    assert summary.resumed_at == 2
    undisturbed, _ = run(tiny_folder, tmp_path / "whole", chosen)
    assert differing(policy, undisturbed) == []


def test_other_settings_do_not_resume(tiny_folder: Path, tmp_path: Path) -> None:
    """Another rate is refused; smaller batches, which change nothing beyond rounding, are not."""
    vlm = fresh(tiny_folder)
    data = preferences(vlm, tmp_path / "reference")
    trainer.train(vlm, data, settings(save_every=1), 3, tmp_path / "c")
    with pytest.raises(RunFolderError, match="other pairs or settings"):
        trainer.train(fresh(tiny_folder), data, settings(learning_rate=2e-3), 3, tmp_path / "c")
    _, summary = trainer.train(fresh(tiny_folder), data, settings(pairs_per_batch=1), 3, tmp_path / "c")
    assert summary.resumed_at == 1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("lora", "optimizer"), [(False, "adamw"), (True, "adamw"), (False, "adamw_8bit")])
def test_rate_zero_changes_no_bit(tiny_folder: Path, tmp_path: Path, lora: bool, optimizer: str, dtype: str) -> None:
    policy, _ = run(tiny_folder, tmp_path, settings(lora=lora, learning_rate=0, epochs=2, optimizer=optimizer), dtype)
    assert differing(policy, fresh(tiny_folder, dtype)) == []


def test_runs_repeat_to_the_bit(tiny_folder: Path, tmp_path: Path) -> None:
    one, _ = run(tiny_folder, tmp_path / "a", settings())
    other, _ = run(tiny_folder, tmp_path / "b", settings())
    assert differing(one, other) == []


def test_gradient_checkpointing_changes_no_bit(tiny_folder: Path, tmp_path: Path) -> None:
    one, _ = run(tiny_folder, tmp_path / "a", settings(gradient_checkpointing=True))
    other, _ = run(tiny_folder, tmp_path / "b", settings(gradient_checkpointing=False))
    assert differing(one, other) == []


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_saved_and_loaded_again(tmp_path: Path, lora: bool, tied: bool) -> None:
    """What comes out is a model in the usual layout, adapters merged, tied weights still tied, with equal logits."""
    policy, _ = run(tiny_llava(tmp_path / "model", tied=tied), tmp_path, settings(lora=lora))
    save(policy, tmp_path / "saved")
    again = fresh(tmp_path / "saved")
    assert differing(policy, again) == []
    assert not list((tmp_path / "saved").glob("adapter*"))
    head, table = again.model.lm_head.weight, again.model.get_input_embeddings().weight
    assert (head.data_ptr() == table.data_ptr()) is tied
    ids = torch.tensor([[1, 20, 30, 40]])
    with torch.no_grad():
        assert torch.equal(policy.model(input_ids=ids).logits, again.model(input_ids=ids).logits)


def test_a_second_round_starts_from_the_merged_model(tiny_folder: Path, tmp_path: Path) -> None:
    """Its reference is the policy of round one, not the base: its first loss is log 2, and other than the base's."""
    policy, _ = run(tiny_folder, tmp_path / "one", settings(lora=True, epochs=4))
    told: list[StepMetrics] = []
    data = preferences(policy, tmp_path / "two")
    trainer.train(policy, data, settings(lora=True), 4, tmp_path / "c", told.append)
    base = preferences(fresh(tiny_folder), tmp_path / "base")
    assert told[0].dpo == pytest.approx(math.log(2), abs=1e-4)
    assert abs(data.reference["pair00"].chosen - base.reference["pair00"].chosen) > 0.1


def test_order_of_pairs_does_not_count(tiny_folder: Path, tmp_path: Path) -> None:
    one, _ = run(tiny_folder, tmp_path / "a", settings())
    vlm = fresh(tiny_folder)
    data = preferences(vlm, tmp_path / "b", list(reversed(some_pairs())))
    other, _ = trainer.train(vlm, data, settings(), 3, tmp_path / "c")
    assert differing(one, other) == []
    assert data.open_image is open_image


@pytest.mark.parametrize("optimizer", ["adamw", "adamw_8bit"])
def test_no_pickle_anywhere(tiny_folder: Path, tmp_path: Path, optimizer: str) -> None:
    """Everything written is Parquet, safetensors (length, then JSON) or JSON."""
    run(tiny_folder, tmp_path, settings(save_every=1, optimizer=optimizer))
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in written} == {".json", ".parquet", ".safetensors"}
    for path in written:
        start = path.read_bytes()[:9]
        kinds = {".json": start[:1] == b"{", ".parquet": start[:4] == b"PAR1", ".safetensors": start[8:] == b"{"}
        assert kinds[path.suffix], path
