"""The image tree as a forward: what an image's answers share goes through the model once. Equal to the plain batch.

A dense mask through fused attention is exact whatever the kernel, runs on CPU and GPU, and costs little at the length
of one tree (`tree_mask.py` halves it on a CPU); so trees are the rows of a batch rather than packed into a long one.

Legend: B trees, T tokens of the longest tree (padded), A answers, U places that predict anything, N answer tokens of
all answers, V vocabulary, X axes of a family's positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch.utils.checkpoint import checkpoint

from sena.align import forest, work
from sena.align.plain import Encoded, Forward, LogProbs
from sena.align.tree_mask import TreeMask
from sena.errors import ModelError
from sena.models import encode, positions
from sena.models.vlm import VLM

HEAD_ELEMENTS = 2**26
"""Float32 logits that exist at a time (256 MiB); more answer tokens go through the softmax in turn."""


class Layout(NamedTuple):
    """A batch of trees: ids, positions [B, T]; what each token sees [B, T, T]; where something is predicted [B, T].

    `rows` [N] says for each answer token which of the U predicting places it is scored at, `targets` [N] its id,
    `lengths` [A] how many tokens each answer has.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    sees: torch.Tensor
    predicts: torch.Tensor
    rows: torch.Tensor
    targets: torch.Tensor
    lengths: torch.Tensor


@dataclass(frozen=True, slots=True)
class TreeForward:
    """A `plain.Forward` over trees; `batch_tokens` is the budget by which the trainer cuts its steps for it."""

    batch_tokens: int

    def cut(self, pairs: Sequence[Encoded], halvings: int = 0) -> list[list[int]]:
        return forest.cut(pairs, self.batch_tokens >> halvings)

    def __call__(self, vlm: VLM, pairs: Sequence[Encoded]) -> LogProbs:
        """Log-probabilities of all pairs, in their order, by one forward over their images' trees."""
        groups = forest.by_image(pairs)
        trees = [forest.plant([pairs[number] for number in numbers]) for numbers in groups]
        sums, lengths = _score(vlm, trees)
        order = torch.tensor([number for numbers in groups for number in numbers]).argsort().to(sums.device)
        found = LogProbs(sums[0::2], sums[1::2], lengths[0::2], lengths[1::2])
        return LogProbs(*(column[order] for column in found))


def cut(forward: Forward, pairs: Sequence[Encoded], pairs_per_batch: int, halvings: int = 0) -> list[list[int]]:
    """Numbers of the pairs that go through the model together: trees by tokens, plain rows by number and in order.

    `halvings` says how often the tokens, or the number, are to be halved for want of memory.
    """
    if isinstance(forward, TreeForward):
        return forward.cut(pairs, halvings)
    numbers, size = range(len(pairs)), max(pairs_per_batch >> halvings, 1)
    return [list(numbers[start : start + size]) for start in numbers[::size]]


def measure(forward: Forward, pairs: Sequence[Encoded]) -> work.Work:
    """What a batch gives the language model to do."""
    if isinstance(forward, TreeForward):
        groups = forest.by_image(pairs)
        trees = [forest.plant([pairs[number] for number in numbers]).tree for numbers in groups]
        return work.total(work.of_tree(tree) for tree in trees)
    return work.of_rows([len(each.prompt) + len(side) for each in pairs for side in (each.chosen, each.rejected)])


def lay_out(trees: Sequence[forest.Planted], pad: int) -> Layout:
    """Trees side by side, padded on the right. A padding token sees itself alone and is seen by no other."""
    width = forest.padded(max(len(each.tree.ids) for each in trees))
    ids = torch.full((len(trees), width), pad)
    positions = torch.zeros(len(trees), width, dtype=torch.long)
    until = torch.arange(1, width + 1).repeat(len(trees), 1)
    predicts = torch.zeros(len(trees), width, dtype=torch.bool)
    for number, each in enumerate(trees):
        length = len(each.tree.ids)
        ids[number, :length] = torch.tensor(each.tree.ids)
        positions[number, :length] = torch.tensor(each.tree.depths)
        until[number, :length] = torch.tensor(each.tree.until)
        predicts[number, [place for answer in each.answers for place in answer.places]] = True
    place = torch.arange(width)
    sees = (place[:, None] >= place[None, :]) & (place[:, None] < until[:, None, :])
    answers = [(number, answer) for number, each in enumerate(trees) for answer in each.answers]
    rank = predicts.flatten().cumsum(0) - 1
    flat = torch.tensor([number * width + place for number, answer in answers for place in answer.places])
    targets = torch.tensor([target for _, answer in answers for target in answer.targets])
    lengths = torch.tensor([len(answer.targets) for _, answer in answers])
    return Layout(ids, positions, sees, predicts, rank[flat], targets, lengths)


def attention_mask(sees: torch.Tensor, attention: str, dtype: torch.dtype) -> torch.Tensor:
    """What each token sees [B, T, T] in the form that the model's attention reads: [B, 1, T, T].

    Raises ModelError for an attention that would misread it in silence.
    """
    if attention == "sdpa":  # by blocks where that is measured to be faster, which no GPU was asked yet
        return sees[:, None].as_subclass(TreeMask) if sees.device.type == "cpu" else sees[:, None]
    if attention == "eager":  # adds its mask to the scores, so a boolean one would let everything through
        hidden = torch.zeros(sees.shape, dtype=dtype, device=sees.device)
        return hidden.masked_fill(~sees, torch.finfo(dtype).min)[:, None]
    raise ModelError(f"{attention} attention cannot take the mask of a tree")


def along_branches(vlm: VLM, trees: Sequence[forest.Planted], depths: torch.Tensor) -> torch.Tensor:
    """Positions as each branch would have them alone: depths [B, T], or [X, B, T] by a family that has several axes."""
    found = depths
    for number, each in enumerate(trees):
        for row, places in each.tree.branches.items():
            axes = positions.of_row(vlm, row, each.pixels)
            if axes is None:
                return depths
            if found.ndim == 2:
                found = depths.repeat(len(axes), 1, 1)
            found[:, number, places] = axes.to(found.device)
    return found


def _score(vlm: VLM, trees: Sequence[forest.Planted]) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed log-probabilities (float32) and token counts: [A], [A]."""
    layout = Layout(*(each.to(vlm.device) for each in lay_out(trees, vlm.tokenizer.pad_token_id or 0)))
    out = vlm.model(
        input_ids=layout.ids,
        attention_mask=attention_mask(layout.sees, text_attention(vlm.model), vlm.dtype),
        position_ids=along_branches(vlm, trees, layout.positions),
        logits_to_keep=layout.predicts,
        use_cache=False,
        **encode.stack(_pictures(vlm, trees), vlm.device, vlm.dtype),
    )
    each = _token_log_probabilities(out.logits.reshape(-1, out.logits.shape[-1]), layout.rows, layout.targets)
    owner = torch.repeat_interleave(torch.arange(len(layout.lengths), device=each.device), layout.lengths)
    return torch.zeros(len(layout.lengths), device=each.device).index_add(0, owner, each), layout.lengths


def text_attention(model: Any) -> str:
    """The attention implementation of the model's language half."""
    text = model.config.get_text_config()
    return str(getattr(text, "_attn_implementation", None) or "eager")


def _pictures(vlm: VLM, trees: Sequence[forest.Planted]) -> list[encode.Pixels]:
    """Each tree's picture, as often as its placeholders stand in the tree: once, unless prompts part before it."""
    found: list[encode.Pixels] = []
    for each in trees:
        branch = next(iter(each.tree.branches))
        once = max(branch.count(vlm.image_id), 1)
        found += [each.pixels] * max(each.tree.ids.count(vlm.image_id) // once, 1)
    return found


def _token_log_probabilities(logits: torch.Tensor, rows: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Of each answer token, [N], from logits [U, V]. Float32 copies of a chunk's logits live no longer than it."""
    size = max(HEAD_ELEMENTS // logits.shape[-1], 1)
    if len(rows) <= size:
        return _chunk(logits, rows, targets)
    pieces = zip(rows.split(size), targets.split(size), strict=True)
    return torch.cat([checkpoint(_chunk, logits, *piece, use_reentrant=False) for piece in pieces])  # type: ignore[misc]


def _chunk(logits: torch.Tensor, rows: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    chosen = logits.index_select(0, rows).float()
    return chosen.gather(1, targets[:, None])[:, 0] - chosen.logsumexp(1)
