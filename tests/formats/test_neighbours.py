"""The files in the hands of `datasets` and of TRL's own trainer."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image as PIL

from sena.formats.read import read_pairs
from sena.formats.write import write_pairs
from tests.formats.make import FILES, FIRST, PAIRS, read_image, told


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_pairs("trl", PAIRS, read_image, tmp_path / "out")
    return tmp_path / "out" / "pairs.parquet"


def test_datasets_decodes_the_pictures(file: Path, tmp_path: Path) -> None:
    import datasets

    found = datasets.load_dataset("parquet", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    assert found.features["images"] == datasets.List(datasets.Image())
    row = next(row for row in found if row["id"] == "p1")
    assert isinstance(row["images"][0], PIL.Image)
    assert list(row["images"][0].getdata()) == list(PIL.open(BytesIO(FILES[FIRST])).getdata())
    words = {"type": "text", "text": "Describe it.\nBriefly."}
    assert row["prompt"] == [{"role": "user", "content": [{"type": "image", "text": None}, words]}]
    assert row["chosen"] == [{"role": "assistant", "content": [{"type": "text", "text": "A red box."}]}]
    assert row["rejected"] == [{"role": "assistant", "content": [{"type": "text", "text": "A blue box."}]}]


@pytest.mark.parametrize(
    ("to", "name"), [("llama-factory", "pairs.json"), ("ms-swift", "pairs.jsonl"), ("llava", "pairs.json")]
)
def test_datasets_reads_the_json_layouts(to: str, name: str, tmp_path: Path) -> None:
    """Which is what LLaMA-Factory and ms-swift open such files with."""
    import datasets

    write_pairs(to, PAIRS, read_image, tmp_path / to)
    file = tmp_path / to / name
    found = datasets.load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    assert [row["id"] for row in found] == ["p1", "p2", "p3", "p4"]
    for row in found:
        turns = row.get("messages") or row["conversations"]
        assert sum(str(turn).count("<image>") for turn in turns) == 1
        assert (file.parent / (row["image"] if "image" in row else row["images"][0])).is_file()


def test_a_picture_of_several_rows_is_stored_once(tmp_path: Path) -> None:
    """Noise cannot be compressed: 40 pairs of one picture of 60,000 bytes would take 2.4 MB."""
    import random

    noise = random.Random(0).randbytes(60_000)
    buffer = BytesIO()
    PIL.frombytes("RGB", (200, 100), noise).save(buffer, "PNG")
    pairs = [PAIRS[1]] * 40
    write_pairs("trl", pairs, lambda image_id: buffer.getvalue(), tmp_path / "out")
    assert (tmp_path / "out" / "pairs.parquet").stat().st_size < 100_000
    assert len(read_pairs(tmp_path / "out").pairs) == 40


def test_what_datasets_writes_can_be_read(file: Path, tmp_path: Path) -> None:
    """With contents as plain texts, one picture a row in a column `image`, and no `type`."""
    import datasets

    rows = [
        {
            "prompt": [{"role": "user", "content": pair.prompt}],
            "chosen": [{"role": "assistant", "content": pair.chosen}],
            "rejected": [{"role": "assistant", "content": pair.rejected}],
            "image": {"bytes": FILES[pair.image_id], "path": None},
        }
        for pair in PAIRS[1:]
    ]
    datasets.Dataset.from_list(rows).cast_column("image", datasets.Image()).to_parquet(tmp_path / "theirs.parquet")
    assert told(read_pairs(tmp_path / "theirs.parquet").pairs) == told(PAIRS[1:])
    again = datasets.Dataset.from_parquet(str(file), cache_dir=str(tmp_path / "cache"))
    again.to_parquet(tmp_path / "again.parquet")  # type: ignore[union-attr]
    assert told(read_pairs(tmp_path / "again.parquet").pairs) == told(PAIRS)


def test_rows_of_many_groups_are_read_in_any_order(tmp_path: Path) -> None:
    from dataclasses import replace

    pairs = [replace(PAIRS[n % 4], id=f"p{n:03d}", chosen=f"answer {n}") for n in range(200)]
    write_pairs("trl", pairs, read_image, tmp_path / "out")
    assert pq.ParquetFile(tmp_path / "out" / "pairs.parquet").num_row_groups == 4
    found = read_pairs(tmp_path / "out")
    assert told(found.pairs) == told(pairs)
    paths = found.source.list()
    assert len(paths) == 200
    assert {found.source.read(path) for path in reversed(paths)} == set(FILES.values())


@pytest.mark.slow
def test_trls_trainer_trains_a_step(file: Path, tiny_folder: Path, tmp_path: Path) -> None:
    """The first loss of a policy that is its own reference is log 2, in TRL as here; then the weights move."""
    import datasets
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor
    from trl import DPOConfig, DPOTrainer

    data = datasets.load_dataset("parquet", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    model = AutoModelForImageTextToText.from_pretrained(tiny_folder, dtype=torch.float32)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    config = DPOConfig(
        output_dir=str(tmp_path / "trained"),
        per_device_train_batch_size=2,
        max_steps=1,
        learning_rate=1e-3,
        max_length=None,
        logging_steps=1,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
    )
    trainer = DPOTrainer(
        model, args=config, train_dataset=data, processing_class=AutoProcessor.from_pretrained(tiny_folder)
    )
    trainer.train()
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    assert losses == pytest.approx([0.6931], abs=1e-3)
    assert any(not torch.equal(before[name], weight) for name, weight in trainer.model.named_parameters())
