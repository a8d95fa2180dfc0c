"""One side of the training benchmark, in a process of its own so that its peak memory is its own.

    python benchmarks/train_sides.py SPEC.json OUT.json

All sides keep the vision tower frozen and take two optimizer steps on the same loss, each over all pairs of the case.
The first one warms up and is compared, the second one is timed.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from sena.align import modes, plain, reference, selftest, trainer
from sena.align.config import AlignmentConfig, AlignSettings, LoraConfig, TrainConfig
from sena.models.load import load
from sena.models.vlm import VLM
from sena.recipes import names
from sena.records import Pair

SEED, RATE, BETA, LORA_RANK, EPOCHS = 0, 1e-5, 0.1, 64, 2


class Clock:
    """Wall and processor seconds since it was made or last read."""

    def __init__(self) -> None:
        self.read()

    def read(self) -> tuple[float, float]:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter(), time.process_time()
        passed = tuple(new - old for new, old in zip(now, getattr(self, "last", now), strict=True))
        self.last = now
        return passed[0], passed[1]


def settings(spec: dict[str, Any]) -> AlignSettings:
    train = {"learning_rate": RATE, "schedule": "constant", "warmup": 0, "save_every": 10**6}
    train |= {"pairs_per_step": 10**6, "epochs": EPOCHS, "method": spec["method"], "packing": spec["side"]}
    train |= {"pairs_per_batch": spec["batch"], "gradient_checkpointing": spec["checkpointing"]}
    return AlignSettings(
        alignment=AlignmentConfig(weight=0),
        train=TrainConfig.model_validate(train),
        lora=LoraConfig(r=LORA_RANK, alpha=2 * LORA_RANK),
    )


def run_sena(spec: dict[str, Any], vlm: VLM, pairs: list[Pair]) -> dict[str, Any]:
    """References, then all steps. What is done once a round whatever its size (self-test, hash) is told apart."""

    def open_image(name: str) -> Image.Image:
        return Image.open(Path(spec["folder"]) / f"{name}.png").convert("RGB")

    chosen, clock = settings(spec), Clock()
    forward = selftest.choose_forward(vlm, chosen.train, pairs, open_image, sys.exit)
    once = clock.read()[0]
    with modes.scoring(vlm):
        forward(vlm, plain.encode_pairs(vlm, pairs[:1], open_image))  # warm
    clock.read()
    reference.make_key(vlm, pairs)
    hashed = clock.read()
    with tempfile.TemporaryDirectory() as place:
        known = reference.compute(vlm, pairs, open_image, Path(place) / "r", spec["batch"], forward)
        scored = clock.read()
        told, times = [], []

        def on_step(step: Any) -> None:
            told.append(step.named())
            times.append(clock.read())

        data = trainer.Preferences(pairs, open_image, known, names.loss(chosen.dpo))
        trainer.train(vlm, data, chosen, SEED, Path(place) / "c", on_step, forward)
    scoring = [scored[kind] - hashed[kind] for kind in (0, 1)]
    return {
        **rates(len(pairs), [scoring[kind] + times[1][kind] for kind in (0, 1)]),
        "once_seconds": once + hashed[0],
        "reference_seconds": scoring[0],
        "steps": told,
    }


def run_trl(spec: dict[str, Any], vlm: VLM, pairs: list[Pair]) -> dict[str, Any]:
    """TRL's DPOTrainer. Its tower is trainable unless frozen by hand, and off a GPU its head scores every token
    unless told otherwise (`compact`)."""
    import datasets
    import peft
    import trl.trainer.utils
    from transformers import TrainerCallback
    from trl import DPOConfig, DPOTrainer

    if spec["compact"]:
        trl.trainer.utils._use_triton = lambda device: True
    modes.prepare_full(vlm)
    rows = [trl_row(vlm, pair, spec["folder"]) for pair in pairs]
    data = datasets.Dataset.from_list(rows).cast_column("images", datasets.List(datasets.Image()))
    clock, times = Clock(), list[tuple[float, float]]()

    class Watch(TrainerCallback):
        def on_step_end(self, *args: Any, **more: Any) -> None:
            times.append(clock.read())

    adapters = peft.LoraConfig(r=LORA_RANK, lora_alpha=2 * LORA_RANK, target_modules=modes.linear_names(vlm.model, ()))
    with tempfile.TemporaryDirectory() as place:
        arguments = DPOConfig(
            output_dir=place,
            beta=BETA,
            learning_rate=RATE,
            lr_scheduler_type="constant",
            weight_decay=0.0,
            max_grad_norm=1.0,
            num_train_epochs=EPOCHS,
            per_device_train_batch_size=spec["batch"],
            gradient_accumulation_steps=len(pairs) // spec["batch"],
            gradient_checkpointing=spec["checkpointing"],
            train_sampling_strategy="sequential",
            max_length=None,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            bf16=vlm.dtype == torch.bfloat16,
            disable_tqdm=True,
        )
        tutor = DPOTrainer(
            model=vlm.model,
            args=arguments,
            train_dataset=data,
            processing_class=vlm.processor,
            callbacks=[Watch()],
            peft_config=adapters if spec["method"] == "lora" else None,
        )
        demand_same_ids(tutor, vlm, pairs[: spec["batch"]], spec["folder"])
        clock.read()
        tutor.train()
    told = [row for row in tutor.state.log_history if "loss" in row]
    return {**rates(len(pairs), list(times[1])), "steps": told}


def trl_row(vlm: VLM, pair: Pair, folder: str) -> dict[str, Any]:
    """The same text that sena's template makes, as TRL takes it: plain strings, both ends written out."""
    template, begin, end = vlm.template, vlm.tokenizer.bos_token, vlm.tokenizer.eos_token
    return {
        "prompt": f"{begin}{template.before_image}{pair.prompt}{template.after}",
        "chosen": f"{template.separator}{pair.chosen}{end}",
        "rejected": f"{template.separator}{pair.rejected}{end}",
        "images": [str(Path(folder) / f"{pair.image_id}.png")],
    }


def demand_same_ids(tutor: Any, vlm: VLM, pairs: list[Pair], folder: str) -> None:
    """TRL's collator must give the ids that sena trains on, or the two would not be doing the same work."""
    made = tutor.data_collator([tutor.train_dataset[number] for number in range(len(pairs))])
    theirs = [row[mask.bool()].tolist() for row, mask in zip(made["input_ids"], made["attention_mask"], strict=True)]
    ours = plain.encode_pairs(vlm, pairs, lambda name: Image.open(Path(folder) / f"{name}.png").convert("RGB"))
    wanted = [each.prompt + each.chosen for each in ours] + [each.prompt + each.rejected for each in ours]
    if theirs != wanted:
        sys.exit("TRL's rows are not sena's: the two sides cannot be compared")


def rates(pairs: int, seconds: list[float]) -> dict[str, float]:
    return {
        "pairs": pairs,
        "pairs_per_second": pairs / seconds[0],
        "pairs_per_cpu_second": pairs / seconds[1],
        "peak_mib": peak_memory(),
    }


def peak_memory() -> float:
    """MiB: the most that torch held on the GPU, else the largest resident size of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main(spec_file: str, out: str) -> None:
    spec = json.loads(Path(spec_file).read_text())
    torch.set_num_threads(spec["threads"])
    torch.manual_seed(SEED)
    vlm = load(spec["folder"], "auto", "auto")
    pairs = [Pair(**row) for row in json.loads((Path(spec["folder"]) / f"pairs-{spec['case']}.json").read_text())]
    side = run_trl if spec["side"] == "trl" else run_sena
    Path(out).write_text(json.dumps(side(spec, vlm, pairs)))


if __name__ == "__main__":
    main(*sys.argv[1:])
