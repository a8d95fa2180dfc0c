"""Stands in for vLLM 0.33: its calls with the names and shapes of that version, answered by transformers on the CPU.

What vLLM would refuse is refused here: unknown arguments, embeddings that were not allowed or have another shape, a
prompt without exactly one placeholder for its picture, an id that names two pictures. What it was told goes to the file
that SENA_STAND_IN names, a line of JSON a call.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image

LLM_ARGUMENTS = {  # of LLM.__init__ and EngineArgs, those that an engine may want
    "model", "dtype", "seed", "trust_remote_code", "load_format", "tensor_parallel_size", "gpu_memory_utilization",
    "enable_prefix_caching", "limit_mm_per_prompt", "enable_mm_embeds", "max_model_len",
}  # fmt: skip
PROMPT_KEYS = {"prompt_token_ids", "multi_modal_data", "multi_modal_uuids"}  # of TokensPrompt


@dataclass
class SamplingParams:
    repetition_penalty: float = 1.0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop_token_ids: list[int] | None = None
    max_tokens: int | None = 16

    def __post_init__(self) -> None:
        assert self.max_tokens is not None
        assert self.max_tokens >= 1
        assert self.temperature >= 0
        assert self.seed is None or -(2**63) <= self.seed < 2**63


@dataclass
class CompletionOutput:
    token_ids: list[int]
    finish_reason: str | None
    text: str = ""


@dataclass
class RequestOutput:
    outputs: list[CompletionOutput] = field(default_factory=list)


class LLM:
    def __init__(self, model: str, **options: Any) -> None:
        from transformers import AutoModelForImageTextToText, AutoProcessor

        assert options.keys() <= LLM_ARGUMENTS, options
        if "refuse" in os.environ.get("SENA_STAND_IN_FAULT", ""):
            raise ValueError("No available memory for the cache blocks. \x1b[31mTry increasing")
        self.options = options
        self.model = AutoModelForImageTextToText.from_pretrained(model, dtype=getattr(torch, options["dtype"])).eval()
        self.processor = AutoProcessor.from_pretrained(model)
        self.known: dict[str, bytes] = {}
        _note({"model": model, **options})

    def get_default_sampling_params(self) -> SamplingParams:
        return SamplingParams()

    def generate(
        self, prompts: list[dict[str, Any]], sampling_params: list[SamplingParams], *, use_tqdm: bool = True
    ) -> list[RequestOutput]:
        assert len(prompts) == len(sampling_params)
        assert not use_tqdm
        if "die" in os.environ.get("SENA_STAND_IN_FAULT", ""):
            os._exit(9)
        _note({"uuids": [each.get("multi_modal_uuids") for each in prompts]})
        return [self._one(*each) for each in zip(prompts, sampling_params, strict=True)]

    @torch.inference_mode()
    def _one(self, prompt: dict[str, Any], asked: SamplingParams) -> RequestOutput:
        assert prompt.keys() <= PROMPT_KEYS, prompt.keys()
        ids = prompt["prompt_token_ids"]
        assert all(type(index) is int for index in ids)
        place = self.model.config.image_token_id
        words = self.model.get_input_embeddings()
        if "multi_modal_data" not in prompt:
            assert place not in ids
            embeds = words(torch.tensor([ids]))
        else:
            assert ids.count(place) == 1, "a prompt has one placeholder a picture"
            tokens = self._tokens(prompt["multi_modal_data"], prompt["multi_modal_uuids"])
            at = ids.index(place)
            before, after = words(torch.tensor([ids[:at]])), words(torch.tensor([ids[at + 1 :]]))
            embeds = torch.cat([before, tokens[None].to(before.dtype), after], dim=1)
        made = self.model.generate(
            inputs_embeds=embeds,
            attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long),
            max_new_tokens=asked.max_tokens,
            do_sample=False,
            eos_token_id=asked.stop_token_ids,
        )[0].tolist()
        ended = made[-1] in (asked.stop_token_ids or [])
        return RequestOutput([CompletionOutput(made, "stop" if ended else "length")])

    def _tokens(self, data: dict[str, Any], uuids: dict[str, Any]) -> torch.Tensor:
        assert data.keys() == {"image"}
        assert uuids.keys() == {"image"}
        (uuid,) = uuids["image"]
        shown = data["image"]
        if isinstance(shown, Image.Image):
            pixels = self.processor.image_processor(images=[shown], return_tensors="pt")["pixel_values"]
            tokens = self.model.get_image_features(pixel_values=pixels).pooler_output[0]
        else:
            assert self.options["enable_mm_embeds"], "enable_mm_embeds is off"
            (tokens,) = shown
            assert tokens.ndim == 2
            assert tokens.shape[-1] == self.model.config.text_config.hidden_size
        held = tokens.float().numpy().tobytes()
        assert self.known.setdefault(uuid, held) == held, f"{uuid} names two pictures"
        return tokens


def _note(value: dict[str, Any]) -> None:
    with open(os.environ["SENA_STAND_IN"], "a") as notes:
        notes.write(json.dumps(value) + "\n")
