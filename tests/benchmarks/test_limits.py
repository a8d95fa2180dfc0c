"""The command on a very tiny model, and what becomes of its figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import limits
from count import Amount
from limits import Extent, Pass

TINY = Extent(images=2, rows=4, steps=3, repeats=2, copied=2**16)


def test_a_pass_against_the_limits() -> None:
    """120 operations and 10 numbers of 4 bytes in 2 seconds: 60 and 20 a second, of 240 and 80."""
    found = limits.rated(Pass("decode", 2.0, Amount(120, 10)), 4, 240.0, 80.0)
    assert found["operations_per_second"] == 60
    assert found["bytes_per_second"] == 20
    assert found["of_matmul"] == found["of_copy"] == 0.25


def test_the_command(model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every fraction is a rate over a limit, and the limit is the fastest product of the model's own sizes."""
    out = tmp_path / "limits.json"
    words = ["--small", "--model", str(model_folder), "--device", "cpu", "--threads", "1", "--json", str(out)]
    limits.main(words, TINY)
    found, shown = json.loads(out.read_text()), capsys.readouterr().out
    assert list(found["passes"]) == ["training", "prefill", "decode"]
    assert found["matmul_operations_per_second"] == max(found["matmul_by_size"].values())
    assert any(size.endswith("x 16 x 32000") for size in found["matmul_by_size"])
    for name, each in found["passes"].items():
        assert each["seconds"] > 0
        assert each["of_matmul"] == pytest.approx(
            each["operations"] / each["seconds"] / found["matmul_operations_per_second"]
        )
        assert each["of_copy"] == pytest.approx(each["bytes"] / each["seconds"] / found["copy_bytes_per_second"])
        assert name in shown


def test_the_7b_needs_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="wants a GPU of 80 GB"):
        limits.main([])
