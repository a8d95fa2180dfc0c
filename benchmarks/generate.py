"""Images a second through the whole data half: windows with shared prefixes against a loop of single calls.

    python benchmarks/generate.py [--small] [--json F] [--threads N] [--device cuda] [--model DIR]

The loop does what the released code does: every call opens, encodes and reads its picture anew and generates alone, by
transformers' `generate`. Both sides run the same stages with the same prompts, eight calls an image, and generate the
same fixed numbers of tokens; what the stages read is canned, so that no row is lost. Answers are compared before any
speed is told. Loading the model and a first image are outside of the clock, opening pictures is inside.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Picture

import small_llava
from sena.data.make_pairs import make_pairs
from sena.engines import plain
from sena.engines.base import OpenImage
from sena.engines.local import LocalEngine
from sena.engines.looks import Looks
from sena.images.config import LimitsConfig
from sena.images.decode import decode
from sena.models import encode
from sena.models.load import load
from sena.models.vlm import VLM
from sena.recipes.load import read
from sena.records import Image, Reply, Request
from sena.stages import StagesConfig
from sena.stages.base import Context

QUESTION = "What colour is the small bird that sits on the fence?"
DESCRIPTION = (
    "A small red bird sits on a wooden fence in front of a green field, with a farm house and two tall trees behind it "
    "under a grey sky, and a dog lies in the grass beside the gate."
)
SAID = {
    "question/question": QUESTION,
    "check/question": f"QUESTION: {QUESTION}",
    "answer/description": DESCRIPTION,
    "answer/answer": "It is mostly red.",
    "enhance/answer": "Improved answer: The bird is red with grey wings.",
    "enhance/description": "Improved answer: A red bird sits on a wooden fence.",
    "reject/description": DESCRIPTION.replace("bird", "cat"),
    "reject/answer": "It is mostly blue.",
}
LENGTHS = {
    "question": 16, "check": 16, "answer/description": 40, "answer/answer": 6,
    "enhance": 10, "reject/description": 40, "reject/answer": 6,
}  # fmt: skip
NEAR = 1e-3
"""Two answers may part where the two best logits are this close."""


@dataclass
class Told:
    """Generates for real, at fixed lengths, and hands canned words to the stages. `alone`: one request a call."""

    engine: LocalEngine
    alone: bool
    offers: frozenset[Any] = frozenset({"generate"})
    made: dict[str, tuple[Request, tuple[int, ...]]] = field(default_factory=dict)

    def window(self) -> Any:
        return self.engine.window()

    def generate(self, requests: Sequence[Request], open_image: OpenImage) -> list[Reply]:
        asked = [replace(each, max_new_tokens=length(each)) for each in requests]
        if self.alone:
            replies = []
            for each in asked:
                self.engine._forget()  # the loop keeps nothing of a picture, not even its pixels
                replies += self.engine.generate([each], open_image)
        else:
            replies = self.engine.generate(asked, open_image)
        for each, reply in zip(asked, replies, strict=True):
            if len(reply.tokens) != each.max_new_tokens:
                sys.exit(f"{each.id} made {len(reply.tokens)} tokens instead of {each.max_new_tokens}")
            self.made[each.id] = (each, reply.tokens)
        return [Reply(each.id, SAID[part(each)]) for each in asked]

    def score(self, requests: Sequence[Request], open_image: OpenImage) -> Any:
        raise NotImplementedError


def part(request: Request) -> str:
    """Stage and part of a request, from its id `row/stage/attempt/part`."""
    _, stage, _, name = request.id.rsplit("/", 3)
    return f"{stage}/{name}"


def length(request: Request) -> int:
    name = part(request)
    return LENGTHS.get(name) or LENGTHS[name.partition("/")[0]]


def run(told: Told, images: Sequence[Image], folder: Path, config: StagesConfig) -> dict[str, float]:
    """Seconds an image, wall-clock and of the processor, that the data half takes for `images`."""

    def open_image(name: str) -> Picture.Image:
        return decode((folder / f"{name}.jpg").read_bytes(), LimitsConfig())

    wall, processor = time.perf_counter(), time.process_time()
    tables = make_pairs(images, told, open_image, config, Context(0, 1), window=len(images))
    if told.engine.vlm.device.type == "cuda":
        torch.cuda.synchronize()
    found = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - processor}
    if len(tables.answers) != len(images):
        sys.exit(f"{len(images)} images went in and {len(tables.answers)} came out")
    return {key: value / len(images) for key, value in found.items()}


def demand_equal(vlm: VLM, ours: Told, loop: Told, folder: Path) -> int:
    """How many answers part at a near tie. Ends the program when one parts elsewhere or more than 1 % do."""
    parted = 0
    for name, (request, wanted) in loop.made.items():
        got = ours.made[name][1]
        if got == wanted:
            continue
        step = next(number for number, (a, b) in enumerate(zip(got, wanted, strict=True)) if a != b)
        with torch.inference_mode():
            pixels = Looks().at(vlm, request, lambda image: Picture.open(folder / f"{image}.jpg").convert("RGB"))
            trace: list[torch.Tensor] = []
            plain.answer(vlm, [request], [encode.prompt_ids(vlm, request.prompt, pixels)], [pixels], trace)
        best = trace[step][0].float().topk(2).values
        if vlm.dtype == torch.float32 and best[0] - best[1] > NEAR:
            sys.exit(f"{name} parts at step {step}, where the best logits are {float(best[0] - best[1]):.2g} apart")
        parted += 1
    if vlm.dtype == torch.float32 and parted > 0.01 * len(loop.made) + 1:
        sys.exit(f"{parted} of {len(loop.made)} answers differ")
    return parted


def prepare(folder: Path, count: int) -> tuple[list[Image], StagesConfig]:
    """Photograph-sized pictures on the disk, and the stages of the recipe `sena` with enhanced descriptions."""
    random = np.random.RandomState(0)
    images = []
    for number in range(count):
        name = f"image{number:03d}"
        blobs = Picture.fromarray(random.randint(0, 256, (6, 8, 3), dtype=np.uint8)).resize((640, 480))
        blobs.save(folder / f"{name}.jpg", quality=90)
        images.append(Image(name, "random", f"{name}.jpg", "", 640, 480))
    data, _ = read("sena")
    stages = {key: value for key, value in data.items() if key in StagesConfig.model_fields}
    stages["enhance"] = {**stages["enhance"], "descriptions": True}
    return images, StagesConfig.model_validate(stages)


def make_model(folder: Path, config: StagesConfig, save: Callable[..., Path] = small_llava.save) -> Path:
    """A model of random weights (`save` says which) whose tokenizer knows the words of the prompts."""
    texts = [*config.question.prompts, config.check.prompt, *config.describe.prompts, config.describe.suffix]
    texts += [config.answer.suffix, config.enhance.prompt, *SAID.values(), "A chat between USER ASSISTANT :"]
    return save(folder, texts)


def open_model(model: Path, device: str, dtype: str = "auto") -> VLM:
    """The model, which never ends an answer by itself."""
    vlm = load(str(model), dtype, device)
    with torch.no_grad():
        for index in vlm.stop_ids:  # a logit of 0 among thousands of random ones is never the largest
            vlm.model.get_output_embeddings().weight[index] = 0
    return vlm


def compare(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Both sides on the same images; the loop, whose rate hangs on no batch, takes only the first few of them."""
    many, few = (24, 3) if arguments.small else (48, 8)
    images, config = prepare(folder, many + 1)
    vlm = open_model(arguments.model or make_model(folder / "model", config), arguments.device)
    ours = Told(LocalEngine(vlm, batch=arguments.batch), alone=False)
    loop = Told(LocalEngine(vlm, batch=1, path="plain"), alone=True)
    found: dict[str, Any] = {}
    for name, told, count in (("shared", ours, many), ("loop", loop, few)):
        run(told, images[-1:], folder, config)
        found[name] = {"images": count, **run(told, images[:count], folder, config)}
    if ours.engine.path != "shared":
        sys.exit(f"no prefix is shared: {ours.engine.why}")
    return {
        "ratio": found["loop"]["seconds"] / found["shared"]["seconds"],
        "ratio_cpu": found["loop"]["cpu_seconds"] / found["shared"]["cpu_seconds"],
        "images_per_second": {name: 1 / each["seconds"] for name, each in found.items()},
        "seconds_an_image": found,
        "answers_parted_at_a_near_tie": demand_equal(vlm, ours, loop, folder),
        "answers_compared": len(loop.made),
        "parameters": sum(each.numel() for each in vlm.model.parameters()),
        "batch": arguments.batch,
        "device": torch.cuda.get_device_name() if vlm.device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "versions": {name: metadata.version(name) for name in ("torch", "transformers")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--small", action="store_true", help="fewer images: some minutes on a laptop")
    parser.add_argument("--json", type=Path, help="write all figures there")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--model", type=Path, help="a LLaVA in Hugging Face layout instead of the small one")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        found = compare(arguments, Path(folder))
    print(f"{'':8}{'images':>8}{'seconds an image':>20}{'processor seconds':>20}")
    for name, each in found["seconds_an_image"].items():
        print(f"{name:8}{each['images']:>8}{each['seconds']:>20.2f}{each['cpu_seconds']:>20.2f}")
    print(f"ratio {found['ratio']:.2f} (in processor time {found['ratio_cpu']:.2f}); ", end="")
    print(f"{found['answers_parted_at_a_near_tie']} of {found['answers_compared']} answers part at a near tie")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
