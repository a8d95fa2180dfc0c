"""A recipe: the complete description of a run. It only composes what the components declare beside themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from sena.align.config import AlignmentConfig, AlignSettings, DpoConfig, LoraConfig, TrainConfig
from sena.config import Config
from sena.data.config import ComputeConfig
from sena.engines.base import EngineConfig
from sena.errors import RecipeError
from sena.evals.base import EvalConfig
from sena.images.config import ImagesConfig
from sena.images.guess import source_of
from sena.models.config import ModelConfig
from sena.recipes import load
from sena.runs.config import RunConfig
from sena.stages.config import (
    AnswerConfig,
    CheckConfig,
    CorruptionConfig,
    DescribeConfig,
    EnhanceConfig,
    FiltersConfig,
    PairConfig,
    QuestionConfig,
    SamplesConfig,
    StagesConfig,
)


class Recipe(Config):
    """Every setting of a run, by component."""

    run: RunConfig = Field(default_factory=RunConfig)
    """Rounds, images a round, seed."""
    model: ModelConfig
    """Which model evolves."""
    images: ImagesConfig
    """Where its pictures come from."""
    engine: EngineConfig = Field(default_factory=EngineConfig)
    """How prompts are put together."""
    compute: ComputeConfig = Field(default_factory=ComputeConfig)
    """Who makes the pairs: this process, processes, or a Ray cluster."""
    question: QuestionConfig
    """Self-questioning: asking."""
    check: CheckConfig
    """Self-questioning: checking the question against the picture."""
    describe: DescribeConfig
    """Descriptions."""
    answer: AnswerConfig
    """Answers."""
    enhance: EnhanceConfig
    """Self-enhancement of answers."""
    corruption: CorruptionConfig = Field(default_factory=CorruptionConfig)
    """What spoils the picture of the rejected answers."""
    samples: SamplesConfig = Field(default_factory=SamplesConfig)
    """Pairs of own samples, in place of enhanced and rejected answers."""
    filters: FiltersConfig = Field(default_factory=FiltersConfig)
    """Which pairs are dropped."""
    pair: PairConfig = Field(default_factory=PairConfig)
    """Controls of an experiment."""
    dpo: DpoConfig = Field(default_factory=DpoConfig)
    """The preference term."""
    alignment: AlignmentConfig = Field(default_factory=AlignmentConfig)
    """The image content alignment term."""
    train: TrainConfig = Field(default_factory=TrainConfig)
    """How the loss is descended."""
    lora: LoraConfig = Field(default_factory=LoraConfig)
    """Adapters."""
    eval: EvalConfig = Field(default_factory=EvalConfig)
    """What is measured after every round."""

    @model_validator(mode="after")
    def _stages_agree(self) -> Recipe:
        wrong = self.stages().conflict()
        if wrong:
            raise ValueError(wrong)
        return self

    @model_validator(mode="after")
    def _quantized_weights_stay(self) -> Recipe:
        if self.model.quantize != "none" and self.train.method == "full":
            raise ValueError(
                f"model.quantize: {self.model.quantize} holds weights that cannot learn: set train.method to lora, or "
                "model.quantize to none"
            )
        if self.model.quantize != "none" and self.train.parallel == "fsdp2":
            raise ValueError(
                f"model.quantize: {self.model.quantize} packs weights, which cannot be cut into rows then: set "
                "train.parallel to ddp, or model.quantize to none"
            )
        return self

    @model_validator(mode="after")
    def _workers_share_no_device(self) -> Recipe:
        if self.compute.kind != "inline" and self.model.device not in ("auto", "cpu", "cuda"):
            raise ValueError(
                f"compute.kind: {self.compute.kind} gives every worker a GPU of its own: set model.device to auto in "
                f"place of {self.model.device}"
            )
        return self

    @model_validator(mode="after")
    def _engine_can(self) -> Recipe:
        if self.engine.kind == "local":
            return self
        if self.stages().needs_scores:
            raise ValueError(
                f"engine.kind: {self.engine.kind} tells no log-probabilities, by which this recipe judges answers: set "
                "it to local, or leave out samples.count and the filter unsupported"
            )
        if self.model.quantize != "none":
            raise ValueError(
                f"model.quantize: an engine of the kind {self.engine.kind} holds whole weights: set it to none, or "
                "engine.kind to local"
            )
        if self.engine.kind == "server" and self.model.data_template != "same":
            raise ValueError(
                f"engine.kind: {self.engine.kind} speaks the model's own template: set model.data_template to same in "
                f"place of {self.model.data_template}, or engine.kind to local"
            )
        return self

    def stages(self) -> StagesConfig:
        """The data half's settings in one piece."""
        return StagesConfig(**{name: getattr(self, name) for name in StagesConfig.model_fields})

    def align(self) -> AlignSettings:
        """The training half's settings in one piece."""
        return AlignSettings(**{name: getattr(self, name) for name in AlignSettings.model_fields})


def load_recipe(
    name: str | Path,
    *,
    model: str | None = None,
    images: str | None = None,
    rounds: int | None = None,
    limit: int | None = None,
    settings: Sequence[str] = (),
) -> Recipe:
    """A shipped recipe or a YAML file, with what the command line changes in it.

    Raises RecipeError with all faults, one a line, each with its mend.
    """
    flags: list[tuple[str, Any, str]] = []
    if model is not None:
        flags.append(("model.name", model, f"--model {model}"))
    if images is not None:
        flags.append(("images.sources", [source_of(images)], f"--images {images}"))
    if rounds is not None:
        flags.append(("run.rounds", rounds, f"--rounds {rounds}"))
    if limit is not None:
        flags.append(("run.images_per_round", limit, f"--limit {limit}"))
    data, origins = load.read(name, [*(load.Override(*flag) for flag in flags), *settings])
    if "images" not in data:
        raise RecipeError(f"The recipe {name} names no pictures: give --images FOLDER, or write images.sources")
    return load.validate(Recipe, data, origins)
