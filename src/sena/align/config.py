"""The recipe's `align` section: the loss and how it is descended. The defaults are the released code's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sena.config import Config


class DpoConfig(Config):
    """The preference term."""

    loss: Literal["sigmoid", "smooth", "ipo", "simpo", "orpo"] = "sigmoid"
    """`sigmoid` is DPO, `smooth` expects some pairs to be the wrong way round, `ipo` aims at a margin; `simpo` and
    `orpo` ask no reference and count by token, `orpo` with the likelihood of the chosen answer added."""
    weight: float = Field(default=1.0, ge=0)
    """Weight beside the content-alignment term; 0 switches the preference term off."""
    beta: float = Field(default=0.1, gt=0)
    """How sharply a log-probability margin (in nats) counts; smaller lets the policy wander further from its start.
    SimPO's authors take 2 to 2.5. With `orpo` it is the weight of the odds ratio."""
    per_token: bool = False
    """Divide log-probabilities by the answer's tokens: length-normalised DPO with `sigmoid`, TRL's IPO with `ipo`."""
    smoothing: float = Field(default=0.1, ge=0, lt=0.5)
    """With `smooth`: share of the pairs that is thought to be the wrong way round."""
    gamma: float = Field(default=1.0, ge=0)
    """With `simpo`: margin that the rewards of the two answers should have."""


class AlignmentConfig(Config):
    """The image content alignment term: mean negative log-likelihood a token of the chosen descriptions."""

    weight: float = Field(default=1.0, ge=0)
    """Weight beside the preference term; 0 switches the term off."""
    mean: Literal["all_pairs", "described"] = "all_pairs"
    """`all_pairs` divides by all pairs of the step (as released), `described` by its description pairs only."""


class LoraConfig(Config):
    """Low-rank adapters on the language model, merged into its weights at the end of every round."""

    r: int = Field(default=128, ge=1)
    """Rank."""
    alpha: int = Field(default=256, ge=1)
    """Adapters are scaled by alpha / r."""
    dropout: float = Field(default=0.0, ge=0, le=0)
    """Only 0: with dropout the policy's first step would differ from the reference."""
    targets: tuple[str, ...] = ()
    """Last parts of the names of the linear layers to adapt (q_proj, up_proj, ...); empty for all of them."""


class TrainConfig(Config):
    """How the loss is descended."""

    method: Literal["full", "lora"] = "full"
    """`full` trains all but the vision tower, `lora` trains adapters on the language model."""
    learning_rate: float = Field(default=2e-6, ge=0)
    """Highest rate of the schedule."""
    projector_learning_rate: float | None = Field(default=None, ge=0)
    """The same for the layers between vision tower and language model; null takes `learning_rate`, 0 freezes them."""
    schedule: Literal["cosine", "constant", "warmup_log_constant"] = "cosine"
    """Course after the warm-up; `warmup_log_constant` rises along a logarithm and stays, as the released runs did."""
    warmup: float = Field(default=0.03, ge=0, le=1)
    """Share of all optimizer steps over which the rate rises."""
    epochs: int = Field(default=1, ge=1)
    """How often every pair is seen in a round."""
    pairs_per_step: int = Field(default=128, ge=1)
    """Pairs an optimizer step at most; an image's pairs stay in one step."""
    packing: Literal["tree", "plain"] = "tree"
    """`tree` passes what an image's answers share through the model once; `plain` gives every answer its own row."""
    batch_tokens: int = Field(default=4096, ge=1)
    """With trees: tokens that go through the model together. Memory and speed, never the result beyond rounding."""
    pairs_per_batch: int = Field(default=2, ge=1)
    """With plain rows: pairs that go through the model together, likewise."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients longer than this are shortened to it."""
    optimizer: Literal["adamw", "adamw_8bit"] = "adamw"
    """`adamw` takes 16 bytes a weight that learns (bfloat16, with its gradient and a float32 copy), `adamw_8bit` 6: its
    memory is coarser and small updates are rounded by chance. It needs `pip install sena[gpu]`."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay."""
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW's memory of the gradient and of its square."""
    save_every: int = Field(default=20, ge=1)
    """Optimizer steps between checkpoints: what a kill can cost."""
    gradient_checkpointing: bool | Literal["auto"] = "auto"
    """Compute activations twice to save memory; `auto` does so on a GPU whose memory the weights nearly fill."""
    processes: Annotated[int, Field(ge=1)] | Literal["auto"] = 1
    """Processes that train together, each with a GPU of its own; `auto` is one for each of this machine's (with
    `launcher: ray` the cluster's) GPUs. They change no result beyond rounding, and may differ from start to start of
    the same run. See docs/scaling.md."""
    parallel: Literal["ddp", "fsdp2"] = "ddp"
    """Of several processes, `ddp` gives each the whole model and optimizer; `fsdp2` cuts weights, gradients and the
    optimizer's states among them, of adapters only the weights below."""
    launcher: str = ""
    """What starts the processes in place of sena, for several machines: a command (`srun ... torchrun ...`,
    `accelerate launch --config_file multi_gpu`) without a program, which sena adds. `single_gpu`, `multi_gpu` and
    `fsdp2` are shipped; what such a file says has to agree with the recipe. Or `ray`: that many workers of Ray Train on
    the cluster of `compute.ray.address`."""

    @model_validator(mode="after")
    def _shards_are_plain(self) -> TrainConfig:
        if self.parallel == "fsdp2" and self.method == "full" and self.optimizer == "adamw_8bit":
            raise ValueError(
                "parallel: fsdp2 with method full is for optimizer adamw, since 8-bit states have blocks that rows of "
                "weights would cut: set optimizer to adamw, whose states are shared out, or parallel to ddp"
            )
        return self

    @model_validator(mode="after")
    def _adapters_have_no_projector(self) -> TrainConfig:
        if self.method == "lora" and self.projector_learning_rate:
            raise ValueError(
                "with method lora only adapters learn: leave projector_learning_rate out, or train in full"
            )
        return self


class AlignSettings(Config):
    """All of the training half."""

    dpo: DpoConfig = DpoConfig()
    """The preference term."""
    alignment: AlignmentConfig = AlignmentConfig()
    """The image content alignment term."""
    train: TrainConfig = TrainConfig()
    """How the loss is descended."""
    lora: LoraConfig = LoraConfig()
    """Adapters, for `train.method: lora`."""
