"""May this model read prefixes once and share them? Asked of its settings, then tried on a real request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from sena.engines import plain
from sena.engines.decode import decode
from sena.engines.prefix import Branch, cut, read
from sena.models import encode, families
from sena.models.vlm import VLM

TRIAL_TOKENS = 8
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "repetition_penalty": (None, 1.0),
    "encoder_repetition_penalty": (None, 1.0),
    "no_repeat_ngram_size": (None, 0),
    "encoder_no_repeat_ngram_size": (None, 0),
    "min_length": (None, 0),
    "min_new_tokens": (None, 0),
    "bad_words_ids": (None,),
    "suppress_tokens": (None,),
    "begin_suppress_tokens": (None,),
    "forced_bos_token_id": (None,),
    "forced_eos_token_id": (None,),
    "sequence_bias": (None,),
    "exponential_decay_length_penalty": (None,),
    "guidance_scale": (None, 1.0),
}
"""Settings of a checkpoint under which greedy decoding is nothing but the largest logit."""


def why_not(vlm: VLM, branch: Branch) -> str:
    """Empty when prefixes can be shared, else the reason in a few words. Raises only when memory runs out."""
    if families.reads_both_ways(vlm.family):
        return "what it sees in a picture hangs on the prompt behind it"
    reason = _settings(vlm)
    if reason:
        return reason
    try:
        return _trial(vlm, branch)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # a family's forward may refuse a cache in ways of its own; the plain path stays
        return f"its forward pass does not take a shared prefix ({type(error).__name__})"


def _settings(vlm: VLM) -> str:
    from transformers.cache_utils import DynamicCache, DynamicLayer

    layers = DynamicCache(config=vlm.model.config.get_text_config()).layers
    if any(type(layer) is not DynamicLayer for layer in layers):
        return "not all of its layers keep every key and value"
    settings = vlm.model.generation_config
    changed = [name for name, neutral in _NEUTRAL.items() if getattr(settings, name, None) not in neutral]
    return f"its generation settings change the choice ({', '.join(changed)})" if changed else ""


def _trial(vlm: VLM, branch: Branch) -> str:
    """A request and a longer one behind one prefix, step by step against the plain path."""
    asked = replace(branch.request, temperature=0.0, max_new_tokens=TRIAL_TOKENS)
    requests = [asked, replace(asked, prompt=f"{asked.prompt} {asked.prompt}")]
    prompts = [encode.prompt_ids(vlm, each.prompt, branch.pixels) for each in requests]
    wanted_logits: list[torch.Tensor] = []
    wanted = plain.answer(vlm, requests, prompts, [branch.pixels] * 2, wanted_logits)
    branches = [cut(vlm, each, branch.pixels) for each in requests]
    for row, (one, tokens) in enumerate(zip(branches, wanted, strict=True)):
        got_logits: list[torch.Tensor] = []
        # both rows go together, since gaps are part of what is tried; alone a row would have none
        pair = [one, branches[1 - row]]
        got = decode(vlm, pair, [read(vlm, [one])[0]] * 2, got_logits)[0]
        for step, (ours, theirs) in enumerate(zip(got, tokens, strict=False)):
            true = wanted_logits[step][row].float()
            if step >= len(got_logits):
                break
            far = (got_logits[step][0] - true).abs().max().item()
            if not far <= tolerance(vlm.dtype) * max(1.0, true.abs().max().item()):
                return f"a shared prefix moves its logits by {far:.3g}"
            if ours != theirs:
                break  # a near tie went the other way: from here on the two see different texts
    return ""


def tolerance(dtype: torch.dtype) -> float:
    """How far logits may move, as a part of the largest one, by rounding alone."""
    return 1e-4 if dtype == torch.float32 else 2e-2
