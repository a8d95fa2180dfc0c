"""The one table from names to objects. Below this floor, callers pass objects."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sena import copies, files, stores
from sena.errors import RecipeError, SenaError
from sena.images.config import GivenConfig, ImagesConfig, SourceConfig
from sena.images.sources import Source

if TYPE_CHECKING:
    from sena.align.config import DpoConfig
    from sena.align.losses import Loss
    from sena.evals.base import Benchmark, EvalConfig
    from sena.evals.suite import About, Suite


def sources(config: ImagesConfig, given: GivenConfig | None = None) -> list[Source]:
    """The sources of a recipe, opened; with given questions only the pictures that these are about.

    Raises SenaError for a folder or file that cannot be used.
    """
    opened = [source for each in config.sources for source in _open(each, config)]
    if given is None:
        return opened
    from sena.images.questions import match

    return list(match(opened, given).sources)


def _open(config: SourceConfig, images: ImagesConfig) -> list[Source]:
    name, path, most = config.name, config.path, images.limits.max_bytes
    if stores.is_address(path) and config.kind in ("llava665k", "hf"):
        raise SenaError(
            f"images.sources, {name}: sources of kind {config.kind} are read from a disk, not from {path}: copy it, or "
            "write a list of its pictures"
        )
    if config.kind == "mini":
        from sena.mini.source import MiniSource

        return [MiniSource(name=name)]
    if config.kind == "llava665k":
        from sena.images.llava665k import llava665k_sources

        return list(llava665k_sources(name, path, config.root, images.roots, config.only, most))
    if config.kind == "list":
        from sena.images.listed import ListedSource

        return [ListedSource(name, path, config.root, config.column, most)]
    if config.kind == "parquet":
        from sena.images.parquet import parquet_sources

        return list(parquet_sources(name, path, most))
    if config.kind == "hf":
        from sena.images.hub import HubSource

        return [HubSource(name, path, config.split or "train", config.column, config.subset, most)]
    if config.kind == "tars":
        from sena.images.tars import TarSource

        return [TarSource(name, path, most)]
    if stores.is_address(path):
        from sena.images.stored import StoredSource

        return [StoredSource(name, path, most)]
    from sena.images.sources import FolderSource

    return [FolderSource(name, path, most)]


def suites() -> dict[str, tuple[About, Callable[[Path], Suite]]]:
    """The benchmarks on files, by name: what each is, and how it is read from a folder that holds them all."""
    from sena.evals import amber, chair, choices, hallusion, judged, mmbench, mme, pope, vqa

    known = (
        (pope.ABOUT, pope.load),
        (chair.ABOUT, chair.load),
        (amber.ABOUT, amber.load),
        (mme.ABOUT, mme.load),
        (mmbench.ABOUT, mmbench.load),
        (mmbench.ABOUT_CN, mmbench.load_cn),
        (hallusion.ABOUT, hallusion.load),
        (choices.SCIENCEQA, choices.load_scienceqa),
        (choices.SEED, choices.load_seed),
        (vqa.TEXTVQA, vqa.load_textvqa),
        (vqa.GQA, vqa.load_gqa),
        (vqa.VQAV2, vqa.load_vqav2),
        (vqa.VIZWIZ, vqa.load_vizwiz),
        (judged.LLAVA_W, judged.load_llava_w),
        (judged.MM_VET, judged.load_mm_vet),
        (judged.MMHAL, judged.load_mmhal),
    )
    return {about.name: (about, load) for about, load in known}


def benchmark(name: str, data: str | Path = "") -> Benchmark:
    """A benchmark by name, read from the folder `data` if it needs files.

    Raises RecipeError that lists the known ones, SenaError for files that are missing.
    """
    if name == "mini":
        from sena.mini.bench import MiniBench

        return MiniBench()
    known = suites()
    if name not in known:
        raise RecipeError(f"There is no benchmark {name!r}: known are mini, {', '.join(known)}")
    if not str(data):
        raise RecipeError(
            f"The benchmark {name} needs its authors' files: say where they lie with --data DIR, or with eval.data in "
            f"a recipe; `sena bench ls` says which files"
        )
    root = Path(data).expanduser()
    if not root.is_dir():
        raise SenaError(f"There is no folder {root}: give the one that holds the benchmarks' files")
    return known[name][1](root)


def benchmarks(config: EvalConfig) -> list[Benchmark]:
    """What a recipe measures after every round. Raises RecipeError for a benchmark that needs a judge."""
    judged = {name for name, (about, _) in suites().items() if about.judged} & set(config.benchmarks)
    if judged:
        raise RecipeError(f"The benchmark {min(judged)} needs a judge, and a run has none: ask it with `sena eval`")
    return [benchmark(name, config.data) for name in config.benchmarks]


def loss(config: DpoConfig) -> Loss:
    """The preference loss of a recipe with its parameters."""
    from sena.align import losses

    beta, log_two = config.beta, math.log(2)
    table = {
        "sigmoid": losses.Loss(partial(losses.dpo, beta=beta), log_two),
        "smooth": losses.Loss(partial(losses.smooth, beta=beta, smoothing=config.smoothing), log_two),
        "ipo": losses.Loss(partial(losses.ipo, beta=beta), 1 / (4 * beta**2)),
        "simpo": losses.Loss(partial(losses.simpo, beta=beta, gamma=config.gamma), None),
        "orpo": losses.Loss(partial(losses.orpo, beta=beta), None),
    }
    found = table[config.loss]
    if config.per_token and found.at_reference is not None:  # the others count by token anyway
        found = losses.by_token(found)
    return losses.weighted(found, config.weight)


def model_folder(name: str) -> str:
    """`mini` is the shipped miniature, a model in an object store its copy here; every other name stays as it is."""
    if name == "mini":
        from sena.mini import mini_folder

        return str(mini_folder())
    if not stores.is_address(name):
        return name
    folder = copies.fetch(name)
    if not folder.is_dir():
        raise SenaError(f"There is no model in {name}: check the spelling")
    return str(folder)


def model_or_run(name: str) -> str:
    """A model's folder or hub name: of a run folder the last round's model, of `mini` the shipped one."""
    from sena.runs.folder import RunFolder

    run = RunFolder(copies.place(Path(name).expanduser()))
    copies.fetch(run.manifest)
    if not run.manifest.is_file():
        return model_folder(name)
    copies.look(run.path)
    made = [each.model for each in run.rounds() if (each.model / "config.json").is_file()]
    if run.result.is_file():  # the model that the run stands by, which is not the last one after a rollback
        number = files.read_json(run.result)["round"]
        made = [each for each in made if number and each == run.round(number).model]
        if not number:
            raise SenaError(f"{name} stands by its base model, since every round gave alarm: ask that model")
    if not made:
        raise SenaError(f"{name} has no finished round yet: let `sena evolve` go on, or ask its base model")
    return str(copies.fetch(made[-1]))
