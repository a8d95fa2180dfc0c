"""Log-probabilities of answers, the plain way: one padded row each. The readable truth that faster paths must equal.

Legend: B rows, T tokens, A answer tokens of all rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass

import torch

from sena.models import encode, positions
from sena.models.vlm import VLM


@dataclass(frozen=True, slots=True)
class Sequence:
    """An answer behind its prompt: both as ids, the answer with its end token, and the picture that both speak of."""

    prompt: list[int]
    answer: list[int]
    pixels: encode.Pixels | None


def log_probabilities(vlm: VLM, rows: Many[Sequence]) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed log-probability (natural log, float32) and token count of each row's answer: [B], [B].

    The token at position t is predicted by position t - 1, so an answer's first token is scored from its prompt's
    last one. Logits are computed at those positions only, never for all B x T.
    """
    width = max(len(row.prompt) + len(row.answer) for row in rows)
    ids = torch.full((len(rows), width), vlm.tokenizer.pad_token_id or 0)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    predicts = torch.zeros(len(rows), width, dtype=torch.bool)
    for number, row in enumerate(rows):
        start, stop = len(row.prompt), len(row.prompt) + len(row.answer)
        ids[number, :stop] = torch.tensor(row.prompt + row.answer)
        mask[number, :stop] = 1
        predicts[number, start - 1 : stop - 1] = True
    pictures = [row.pixels for row in rows if row.pixels is not None]
    extra = encode.stack(pictures, vlm.device, vlm.dtype) if pictures else {}
    answers = predicts.roll(1, dims=1).to(vlm.device)  # a token stands behind the place that predicts it
    out = vlm.model(
        input_ids=ids.to(vlm.device),
        attention_mask=mask.to(vlm.device),
        logits_to_keep=predicts.to(vlm.device),
        use_cache=False,
        **positions.kinds(vlm, ids.to(vlm.device), answers),
        **extra,
    )
    targets = torch.tensor([index for row in rows for index in row.answer], device=vlm.device)
    return sum_answers(out.logits, targets, [len(row.answer) for row in rows])


def sum_answers(logits: torch.Tensor, targets: torch.Tensor, lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """From logits [A, V] and target ids [A], answer behind answer, to sums [B] (float32) and counts [B]."""
    logits = logits.reshape(-1, logits.shape[-1]).float()
    each = logits.gather(1, targets[:, None])[:, 0] - logits.logsumexp(1)
    counts = torch.tensor(lengths, device=logits.device)
    owner = torch.repeat_interleave(torch.arange(len(lengths), device=logits.device), counts)
    sums = torch.zeros(len(lengths), device=logits.device).index_add(0, owner, each)
    return sums, counts
