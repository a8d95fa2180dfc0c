"""How long SENA's published schedule takes on LLaVA-1.5-7B: three rounds of 6,000 images, part by part.

    python benchmarks/schedule.py --small [--threads N] [--pairs 1 1.6 2] [--json F]
    python benchmarks/schedule.py [--device cuda] [--model DIR]

Every part is timed alone, at fixed lengths that generation is forced to. On a GPU it is the 7B itself that is timed,
with random weights. With --small it is the 64 M LLaVA, and each time is multiplied by how much more the 7B has to do,
as counted from both configurations (count.py): a projection, not a measurement. Beside it stands the least that an H100
could need by its data sheet. 1.6 pairs an image are images with one and with two pairs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from math import ceil, floor
from pathlib import Path
from typing import Any

import torch

import count
import generate
import passes
import small_llava
import train
from count import Amount, Load
from passes import Bench, Trees
from sena.align import checkpoint, fingerprint, selftest
from sena.align.config import TrainConfig
from sena.align.work import PEAKS, TERA, of_rows
from sena.engines import prefix
from sena.engines.base import OpenImage
from sena.engines.local import LocalEngine
from sena.models import encode
from sena.models.load import load, save
from sena.models.vlm import VLM
from sena.records import Image, Reply, Request
from train_sides import Clock

ROUNDS, IMAGES, AIM_MINUTES = 3, 6000, 60
LENGTHS = {"description": (25, 40, 40), "answer": (30, 10, 6)}
"""Tokens of the user's turn, the chosen and the rejected answer; an image's first pair is on its description."""
STAGES = {"question": "question", "check": "check", "answer": "describe and answer", "enhance": "enhance",
          "reject": "reject"}  # fmt: skip
PARTS = (*STAGES.values(), "reference", "training", "other")
PICTURE_READINGS = 3
"""The data half, the reference and the training open and process each picture anew."""
H100 = PEAKS["H100"] * TERA, 3.35e12, 2
"""Operations and bytes a second by its data sheet, and bytes of a number."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is timed: images through the data half, answers at once, images trained on, runs of each."""

    images: int
    batch: int
    trained: int
    repeats: int


SMALL, WHOLE = Extent(16, 32, 4, 1), Extent(48, 32, 32, 3)


@dataclass(frozen=True, slots=True)
class Cost:
    """Something that is done once `per` image, round, step or checkpoint: `seconds` on the model that was timed.

    `here` and `there` say how much of `unit` that model and the 7B have to do; `least` are seconds on an H100.
    """

    part: str
    what: str
    per: str
    seconds: float
    here: float = 1
    there: float = 1
    unit: str = ""
    least: float = 0

    @property
    def projected(self) -> float:
        return self.seconds * self.there / self.here


@dataclass
class Timed(generate.Told):
    """Keeps the seconds of each stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    def generate(self, requests: Sequence[Request], open_image: OpenImage) -> list[Reply]:
        clock = Clock()
        replies = super().generate(requests, open_image)
        stage = stage_of(requests[0])
        self.seconds[stage] = self.seconds.get(stage, 0) + clock.read()[passes.counted()]
        return replies


def stage_of(request: Request) -> str:
    return generate.part(request).partition("/")[0]


def data_half(bench: Bench, extent: Extent, wanted: Any) -> list[Cost]:
    """The stages, and what the data half spends beside them. `wanted` is the configuration to project to."""
    vlm, images = bench.vlm, [Image(name, "random", f"{name}.jpg", "", 640, 480) for name in bench.images]
    timed = Timed(LocalEngine(vlm, batch=extent.batch), alone=False)
    generate.run(timed, images[-1:], bench.folder, bench.stages)
    timed.seconds.clear()
    timed.made.clear()
    taken = generate.run(timed, images[: extent.images], bench.folder, bench.stages)
    whole = taken["cpu_seconds" if passes.counted() else "seconds"] * extent.images
    picture = passes.fastest(lambda: encode.process(vlm, bench.open_image(bench.images[0])), 3)
    asked = {stage: [asked for asked, _ in timed.made.values() if stage_of(asked) == stage] for stage in STAGES}
    costs = []
    for stage, requests in asked.items():
        loads = stage_loads(vlm, requests, extent.batch, bench)
        own = timed.seconds[stage] - (picture * extent.images if stage == "question" else 0)
        costs.append(by_operations(STAGES[stage], "", "image", own, (vlm.model.config, wanted), loads, extent.images))
    beside = (whole - sum(timed.seconds.values())) / extent.images
    return [
        *costs,
        Cost("other", "pictures opened and processed, three times", "image", PICTURE_READINGS * picture),
        Cost("other", "stages beside the model", "image", beside),
    ]


def stage_loads(vlm: VLM, requests: Sequence[Request], batch: int, bench: Bench) -> list[Load]:
    """What a stage puts through the model: pictures that no stage before has read, then batches of equal limits."""
    pixels = encode.process(vlm, bench.open_image(bench.images[0]))
    branches = [prefix.cut(vlm, request, pixels) for request in requests]
    loads = []
    if stage_of(requests[0]) in ("question", "reject"):
        new, shared = len({branch.key[0] for branch in branches}), branches[0].shared
        at_once = max(1, prefix.READ_AT_ONCE // shared)
        sizes = [min(at_once, new - start) for start in range(0, new, at_once)]
        loads += [Load(size, of_rows([shared] * size), size) for size in sizes]
    for limit in sorted({request.max_new_tokens for request in requests}):
        kind = [branch for branch in branches if generate.length(branch.request) == limit]
        for start in range(0, len(kind), batch):
            loads += decode_loads(kind[start : start + batch], limit)
    return loads


def decode_loads(branches: Sequence[prefix.Branch], tokens: int) -> list[Load]:
    """The texts are read, then each row goes on token by token; the last one is not fed back."""
    behind = [branch.shared + len(branch.text) for branch in branches]
    whole, known = of_rows(behind), of_rows([branch.shared for branch in branches])
    read = type(whole)(whole.tokens - known.tokens, whole.seen - known.seen)
    steps = [count.decode_step([before + step for before in behind]) for step in range(tokens - 1)]
    return [Load(0, read, len(branches), known.tokens), *steps]


def by_operations(
    part: str, what: str, per: str, seconds: float, configs: tuple[Any, Any], loads: Sequence[Load], images: int
) -> Cost:
    """A cost that grows with the operations of its forwards, or of training when the part is that. All for `images`."""
    counted = count.training if part == "training" else count.forward
    here, there = (count.total(counted(config, load) for load in loads) for config in configs)
    least = sum(least_seconds(counted(configs[1], load)) for load in loads)
    each = seconds / images, here.operations / images, there.operations / images
    return Cost(part, what, per, *each, "operations", least / images)


def least_seconds(amount: Amount) -> float:
    """On an H100 that does nothing in vain: its operations or its bytes, whichever takes longer."""
    operations, moved, size = H100
    return max(amount.operations / operations, amount.numbers * size / moved)


def training_half(bench: Bench, extent: Extent, wanted: Any, kinds: Sequence[int]) -> list[Cost]:
    """References and training of images with each number of pairs in `kinds`, and the optimizer."""
    vlm, config, costs = bench.vlm, bench.vlm.model.config, list[Cost]()
    settings = passes.train_settings(vlm)
    planted = {
        pairs: Trees.plant(vlm, train.make_pairs([pairs] * extent.trained, LENGTHS), settings.batch_tokens)
        for pairs in kinds
    }
    both = config, wanted
    for pairs, trees in planted.items():
        seconds = passes.fastest(partial(trees.score, vlm), extent.repeats)
        costs.append(by_operations("reference", "", image(pairs), seconds, both, [trees.load()], extent.trained))
    costs.append(self_test(vlm, both, planted[kinds[-1]], extent.repeats))
    policy = passes.prepare_policy(vlm)
    for pairs, trees in planted.items():
        seconds = passes.fastest(partial(trees.learn, policy), extent.repeats)
        what = "training", "forward and backward", image(pairs)
        costs.append(by_operations(*what, seconds, both, [trees.load()], extent.trained))
    return [*costs, *update(policy, settings, wanted, extent.repeats)]


def image(pairs: int) -> str:
    return f"image of {pairs} pair{'s' * (pairs > 1)}"


def self_test(vlm: VLM, configs: tuple[Any, Any], trees: Trees, repeats: int) -> Cost:
    """It is asked at the start of the references and of the training; it grows as training does."""
    sample = selftest.sample([each.pair for each in trees.encoded])
    encoded = [each for each in trees.encoded if each.pair in sample]
    seconds = 2 * passes.fastest(lambda: selftest.find_fault(vlm, encoded, trees.forward), repeats)
    here, there = (count.training(config, trees.load()).operations for config in configs)
    return Cost("other", "self-test, twice", "round", seconds, here, there, "operations of training")


def update(policy: VLM, settings: TrainConfig, wanted: Any, repeats: int) -> list[Cost]:
    """The optimizer's step (with the gradients' length) and its checkpoint: both grow with the weights that learn."""
    optimizer = passes.optimizer(policy, settings)

    def step() -> None:
        for weight in optimizer.parameters.values():
            weight.grad = torch.full_like(weight, 1e-3)
        optimizer.grad_norm()
        optimizer.step(1e-9)

    sizes = count.learned(policy.model.config), count.learned(wanted), "weights"
    with tempfile.TemporaryDirectory() as place:
        write = partial(checkpoint.save, Path(place), optimizer, "key")
        return [
            Cost("training", f"optimizer ({settings.optimizer})", "step", passes.fastest(step, repeats), *sizes),
            Cost("other", "checkpoint written", "checkpoint", passes.fastest(write, 1, True), *sizes),
        ]


def once_a_round(bench: Bench, wanted: Any, repeats: int) -> list[Cost]:
    """The weights hashed for the references' key, and the model saved and loaded."""
    vlm, sizes = bench.vlm, (count.weights(bench.vlm.model.config), count.weights(wanted), "weights")
    place = bench.folder / "saved"
    device, dtype = str(vlm.device), str(vlm.dtype).removeprefix("torch.")
    hashed = passes.fastest(lambda: fingerprint.of_model(vlm), repeats)
    saved = passes.fastest(lambda: save(vlm, place), 1, True)
    loaded = passes.fastest(lambda: load(str(place), dtype, device), 1, True)
    return [
        Cost("other", "weights hashed", "round", hashed, *sizes),
        Cost("other", "model saved", "round", saved, *sizes),
        Cost("other", "model loaded", "round", loaded, *sizes),
    ]


def kinds_of(means: Sequence[float]) -> list[int]:
    """The whole numbers of pairs that images of these means have."""
    return sorted({each for mean in means for each in (floor(mean), ceil(mean)) if each})


def times(mean: float, train_config: TrainConfig) -> dict[str, float]:
    """How often each `per` comes in the schedule when `mean` pairs an image survive."""
    steps = ceil(IMAGES * mean / train_config.pairs_per_step)
    checkpoints = (steps - 1) // train_config.save_every
    found = {"image": ROUNDS * IMAGES, "round": ROUNDS, "step": ROUNDS * steps, "checkpoint": ROUNDS * checkpoints}
    shares = {ceil(mean): mean - floor(mean), floor(mean): 1 - (mean - floor(mean))}
    return found | {image(pairs): ROUNDS * IMAGES * share for pairs, share in shares.items() if pairs}


def minutes(costs: Sequence[Cost], mean: float, least: bool = False) -> dict[str, float]:
    """Of each part of the whole schedule, and their sum; `least` asks for what an H100 could do it in."""
    often = times(mean, TrainConfig())
    seconds = dict.fromkeys(PARTS, 0.0)
    for cost in costs:
        seconds[cost.part] += (cost.least if least else cost.projected) * often.get(cost.per, 0)
    return {**{part: spent / 60 for part, spent in seconds.items()}, "all": sum(seconds.values()) / 60}


def measure(bench: Bench, extent: Extent, means: Sequence[float]) -> dict[str, Any]:
    """All costs, and the schedule's minutes at each mean number of pairs an image."""
    wanted = small_llava.seven_b()
    costs = [
        *once_a_round(bench, wanted, extent.repeats),
        *data_half(bench, extent, wanted),
        *training_half(bench, extent, wanted, kinds_of(means)),
    ]
    weights = count.weights(bench.vlm.model.config)
    return {
        "minutes": {f"{mean:g}": minutes(costs, mean) for mean in means},
        "aim_minutes_on_one_h100": AIM_MINUTES,
        "least_minutes_on_one_h100": {f"{mean:g}": minutes(costs, mean, least=True) for mean in means},
        "projected": weights != count.weights(wanted),
        "weights": {"timed": weights, "schedule": count.weights(wanted)},
        "costs": [{**asdict(each), "projected": each.projected} for each in costs],
        "tokens": {"generated": generate.LENGTHS, "prompt_chosen_rejected": LENGTHS},
        "window": extent.images,
        "batch": extent.batch,
        "dtype": str(bench.vlm.dtype).removeprefix("torch."),
        "clock": passes.told(),
        "threads": torch.get_num_threads(),
        "machine": train.describe(),
    }


def show(found: dict[str, Any]) -> None:
    timed, wanted = (found["weights"][name] / 1e6 for name in ("timed", "schedule"))
    print(", ".join(f"{name} {value}" for name, value in found["machine"].items()), end="")
    print(f"; {found['threads']} threads, {found['dtype']}, {found['clock']} seconds")
    print(f"windows of {found['window']} images, at most {found['batch']} answers at once")
    print("tokens generated: " + ", ".join(f"{name} {length}" for name, length in found["tokens"]["generated"].items()))
    trained = found["tokens"]["prompt_chosen_rejected"]
    print("trained on (prompt, chosen, rejected): " + ", ".join(f"{name} {each}" for name, each in trained.items()))
    if found["projected"]:
        print(f"\nPROJECTION: timed on {timed:.0f} M weights, times what {wanted:.0f} M have to do more")
    show_costs(found["costs"])
    show_minutes(f"{ROUNDS} x {IMAGES:,} images on LLaVA-1.5-7B, on this machine", found["minutes"])
    show_minutes("What an H100 could not do faster", found["least_minutes_on_one_h100"])
    print(f"The aim is {AIM_MINUTES} minutes on one H100. The second table is arithmetic, not measured: operations and")
    print("bytes of forwards and backwards at the rates of its data sheet, with the batches above and nothing else.")


def show_costs(costs: Sequence[dict[str, Any]]) -> None:
    """The formula's parts: seconds here, times there / here."""
    print(f"\n{'part':20} {'what':43}{'once an':>17}{'seconds':>9}{'here':>10}{'there':>10}{'projected s':>13}")
    for each in costs:
        amounts = f"{each['here']:>10.3g}{each['there']:>10.3g}" if each["unit"] else f"{'':20}"
        print(f"{each['part']:20} {each['what']:43}{each['per']:>17}{each['seconds']:>9.4f}{amounts}", end="")
        print(f"{each['projected']:>13.4f}  {each['unit']}")


def show_minutes(title: str, table: dict[str, dict[str, float]]) -> None:
    print(f"\n{title}, minutes by pairs an image")
    print(f"{'':22}" + "".join(f"{mean:>12}" for mean in table))
    for part in (*PARTS, "all"):
        print(f"{part:22}" + "".join(f"{each[part]:>12,.1f}" for each in table.values()))


def main(words: Sequence[str] | None = None, extent: Extent | None = None) -> None:
    parser = passes.parser((__doc__ or "").split("\n")[0])
    parser.add_argument("--size", choices=["60m", "7b"], default="7b", help="what is timed; --small takes 60m")
    parser.add_argument("--pairs", type=float, nargs="+", default=[1, 1.6, 2], help="surviving pairs an image")
    options: argparse.Namespace = parser.parse_args(words)
    extent = extent or (SMALL if options.small else WHOLE)
    size = "60m" if options.small else options.size
    with passes.opened(options, extent.images + 1, size) as bench:
        found = measure(bench, extent, options.pairs)
    show(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
