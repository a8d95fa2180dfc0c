"""A loaded vision-language model with what is needed to speak to it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from sena.models import families
from sena.models.template import Template


@dataclass
class VLM:
    """Model, processor and template together. Not frozen: training replaces `model` by its adapted self."""

    model: Any
    processor: Any
    template: Template
    name: str

    def with_template(self, template: Template) -> VLM:
        """The same model spoken to under another template."""
        return VLM(self.model, self.processor, template, self.name)

    @property
    def tokenizer(self) -> Any:
        return self.processor.tokenizer

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype

    @property
    def family(self) -> str:
        return families.kind(self.model.config)

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Ids that steer the model: they may come from the template and the picture, never from text."""
        added = self.tokenizer.added_tokens_decoder
        ids = {index for index, token in added.items() if token.special} | set(self.tokenizer.all_special_ids)
        return frozenset(ids | {self.image_id})

    @property
    def image_id(self) -> int:
        """The token whose places the model fills with a picture; in prompts it may stand between marks of its own."""
        told = getattr(self.model.config, "image_token_id", None)
        return self.tokenizer.convert_tokens_to_ids(self.processor.image_token) if told is None else told

    @cached_property
    def axes_owner(self) -> Any:
        """The part that places a picture's tokens on several axes, wrapped in adapters or not; None if none does."""
        return next((module for module in self.model.modules() if hasattr(module, "get_rope_index")), None)

    @cached_property
    def end_id(self) -> int:
        """The token that ends an answer: what the template closes with, else the tokenizer's end of sequence."""
        closing = self.tokenizer.encode(self.template.closing, add_special_tokens=False)
        return next((index for index in closing if index in self.stop_ids), self.tokenizer.eos_token_id)

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """Every token at which generation ends, in order of size: what the checkpoint names, and the special token that
        its template closes an answer with, which not every checkpoint names."""
        configured = self.model.generation_config.eos_token_id
        ids = configured if isinstance(configured, list) else [configured]
        closing = self.tokenizer.encode(self.template.closing, add_special_tokens=False)[:1]
        ends = [index for index in closing if index in self.special_ids]
        return tuple(sorted({self.tokenizer.eos_token_id, *ids, *ends} - {None}))
