"""The plain path: whole prompts, picture and all, through transformers' own `generate`.

Every family can do this. It is the readable truth that the shared path is held against, and what a family falls back
to. Legend: B rows of a batch, T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from sena.engines.sampling import GumbelNoise
from sena.models import encode, positions
from sena.models.vlm import VLM
from sena.records import Reply, Request


def answer(
    vlm: VLM,
    requests: Sequence[Request],
    prompts: Sequence[list[int]],
    pixels: Sequence[encode.Pixels | None],
    trace: list[torch.Tensor] | None = None,
    streamer: Any = None,
) -> list[list[int]]:
    """New ids of each request, the first stop id (and what follows it) included. All share the first one's limit.

    `trace` collects the logits [B, V] of every step; `streamer` gets each token of a single request as it comes.
    """
    ids, mask = pad_left(prompts, vlm.tokenizer.pad_token_id or 0)
    pictures = [seen for seen in pixels if seen is not None]
    extra: dict[str, Any] = positions.kinds(vlm, ids.to(vlm.device))
    extra |= encode.stack(pictures, vlm.device, vlm.dtype) if pictures else {}
    if any(request.temperature > 0 for request in requests):
        extra["logits_processor"] = [GumbelNoise(requests)]
    made = vlm.model.generate(
        input_ids=ids.to(vlm.device),
        attention_mask=mask.to(vlm.device),
        max_new_tokens=requests[0].max_new_tokens,
        do_sample=False,
        num_beams=1,
        eos_token_id=list(vlm.stop_ids),
        pad_token_id=vlm.tokenizer.pad_token_id or 0,
        return_dict_in_generate=True,
        output_logits=trace is not None,
        streamer=streamer,
        **extra,
    )
    if trace is not None:
        trace.extend(made.logits)
    return made.sequences[:, ids.shape[1] :].tolist()


def reply(vlm: VLM, request: Request, row: list[int]) -> Reply:
    """What the new ids of a request say. What stands behind the first stop id is nothing."""
    end = next((place for place, index in enumerate(row) if index in vlm.stop_ids), None)
    tokens = row[:end]
    text = encode.decode(vlm, tokens)
    stable = encode.answer_ids(vlm, request.prompt, text)[:-1] == tokens
    return Reply(request.id, text, end is not None, tuple(tokens), stable)


def pad_left(rows: Sequence[list[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """[B, T] ids and their mask, padded in front, since generation goes on at the end."""
    width = max(map(len, rows))
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return ids, mask
