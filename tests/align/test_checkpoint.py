"""A checkpoint is whole or does not count, and holds nothing that must be unpickled."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sena.align import checkpoint
from sena.align.config import TrainConfig
from sena.align.optimizer import AdamW
from sena.errors import RunFolderError, SenaError


def optimizer(seed: int = 0, steps: int = 3, kind: torch.dtype = torch.bfloat16) -> AdamW:
    generator = torch.Generator().manual_seed(seed)
    made = AdamW([("a", torch.nn.Parameter(torch.randn(3, 4, generator=generator).to(kind)))], TrainConfig())
    for _ in range(steps):
        made.parameters["a"].grad = torch.randn(3, 4, generator=generator).to(kind)
        made.step(1e-3)
    return made


def test_there_and_back(tmp_path: Path) -> None:
    before, after = optimizer(), optimizer(seed=1, steps=0)
    checkpoint.save(tmp_path, before, "key")
    drawn = torch.rand(3)
    found = checkpoint.find(tmp_path, "key")
    assert found is not None
    assert found.steps == 3
    checkpoint.restore(found, after)
    assert after.steps == 3
    assert torch.equal(after.parameters["a"], before.parameters["a"])
    assert all(torch.equal(after.tensors()[name], tensor) for name, tensor in before.tensors().items())
    assert torch.equal(torch.rand(3), drawn)


def test_incomplete_ones_do_not_count(tmp_path: Path) -> None:
    assert checkpoint.find(tmp_path / "none", "key") is None
    place = checkpoint.save(tmp_path, optimizer(), "key")
    (place / checkpoint.MANIFEST).unlink()
    assert checkpoint.find(tmp_path, "key") is None


def test_older_ones_go_only_after_the_new_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path, optimizer(steps=3), "key")
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", lambda tensors, path: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            checkpoint.save(tmp_path, optimizer(steps=4), "key")
    found = checkpoint.find(tmp_path, "key")
    assert found is not None
    assert found.steps == 3
    checkpoint.save(tmp_path, optimizer(steps=5), "key")
    assert [place.name for place in tmp_path.iterdir()] == ["step-000005"]


def test_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(tensors: object, path: Path) -> None:
        raise checkpoint.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(SenaError, match="No space left"):
        checkpoint.save(tmp_path, optimizer(), "key")


def test_other_settings_are_refused(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, optimizer(), "key")
    with pytest.raises(RunFolderError, match="other pairs or settings"):
        checkpoint.find(tmp_path, "another")


def test_another_model_is_refused(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, optimizer(), "key")
    found = checkpoint.find(tmp_path, "key")
    assert found is not None
    other = AdamW([("b", torch.nn.Parameter(torch.zeros(3, 4)))], TrainConfig())
    with pytest.raises(RunFolderError, match="another model"):
        checkpoint.restore(found, other)


def test_no_pickle(tmp_path: Path) -> None:
    """Safetensors begin with the length of a JSON header, and that header is JSON; a pickle or zip does neither."""
    place = checkpoint.save(tmp_path, optimizer(), "key")
    assert {path.name for path in place.iterdir()} == {checkpoint.TENSORS, checkpoint.MANIFEST}
    data = (place / checkpoint.TENSORS).read_bytes()
    length = int.from_bytes(data[:8], "little")
    assert data[8:9] == b"{"
    assert length < len(data)
    assert (place / checkpoint.MANIFEST).read_bytes().startswith(b"{")


def test_clear(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, optimizer(), "key")
    checkpoint.clear(tmp_path)
    assert list(tmp_path.iterdir()) == []
