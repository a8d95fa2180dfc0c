"""Log-probabilities of given answers behind shared prefixes: all answers about a picture, which is read once.

`models/logprobs.py` is the readable truth: a whole row, picture and all, for each answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from sena.engines.prefix import Branch
from sena.engines.room import Layers
from sena.engines.rows import Rows
from sena.models import encode
from sena.models.logprobs import sum_answers
from sena.models.vlm import VLM


def with_answer(vlm: VLM, branch: Branch) -> tuple[Branch, list[int]]:
    """The branch with its request's answer behind its text, but for the last token, which predicts nothing; and the
    answer's ids."""
    answer = encode.answer_ids(vlm, branch.request.prompt, branch.request.answer or "", branch.pixels)
    return replace(branch, text=[*branch.text, *answer[:-1]]), answer


def score(
    vlm: VLM, branches: Sequence[Branch], answers: Sequence[list[int]], prefixes: Sequence[Layers]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed log-probability (natural log, float32) and token count of each branch's answer.

    `branches` are `with_answer`'s, so an answer of n tokens is predicted at the last n places of its row.
    """
    rows = Rows(vlm, branches, prefixes, extra=0)
    lengths = torch.tensor([len(answer) for answer in answers], device=vlm.device)
    width = rows.text.shape[1]
    predicts = torch.arange(width, device=vlm.device) >= width - lengths[:, None]
    targets = torch.tensor([token for answer in answers for token in answer], device=vlm.device)
    return sum_answers(rows.read(predicts), targets, lengths.tolist())
