"""From text and pictures to ids and pixels. What people or models wrote is always encoded as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from sena.models.vlm import VLM


@dataclass(frozen=True, slots=True)
class Pixels:
    """A picture as the model takes it: `tensors` with a batch axis of one, `text` its placeholder tokens."""

    tensors: dict[str, torch.Tensor]
    text: str


def process(vlm: VLM, picture: Image.Image) -> Pixels:
    """Run the model's image processor on one RGB picture. Float32, on the CPU, since corruption acts on it next."""
    processor = vlm.processor.image_processor
    if vlm.family == "llava":  # LLaVA-1.5 was trained on pictures padded to a square; the hub's processor crops them
        picture = pad_square(picture, tuple(int(255 * mean) for mean in processor.image_mean))
    tensors = dict(processor(images=[picture], return_tensors="pt"))
    text = vlm.processor.replace_image_token(tensors, 0)
    return Pixels({name: tensors[name] for name in tensors if isinstance(tensors[name], torch.Tensor)}, text)


def pad_square(picture: Image.Image, colour: tuple[int, ...]) -> Image.Image:
    """The picture in the middle of a square of its longer side, as LLaVA's own preprocessing does."""
    side = max(picture.size)
    if picture.size == (side, side):
        return picture
    square = Image.new("RGB", (side, side), colour)
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


def stack(pictures: list[Pixels], device: Any, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The tensors of several pictures behind one another, floating ones in the model's precision."""
    joined = {name: torch.cat([each.tensors[name] for each in pictures]) for name in pictures[0].tensors}
    return {
        name: tensor.to(device, dtype if tensor.is_floating_point() else tensor.dtype)
        for name, tensor in joined.items()
    }


def prompt_ids(vlm: VLM, prompt: str, pixels: Pixels | None) -> list[int]:
    """Ids of the user's turn up to where the answer begins, the picture's placeholders expanded."""
    text, span = _prompt(vlm, prompt, pixels)
    return _encode(vlm, text, [span])


def chat_ids(vlm: VLM, turns: Sequence[tuple[str, str]], prompt: str, pixels: Pixels | None) -> list[int]:
    """Ids of a conversation up to where its next answer begins: earlier questions with their answers, then `prompt`.

    The picture stands before the first question. Needs a template that knows several turns, unless `turns` is empty.
    """
    template = vlm.template
    parts = [each for question, answer in turns for each in (question, answer)]
    behind = [f"{template.after}{template.separator}", template.between] * len(turns)
    text, spans = _head(vlm, pixels), []
    for words, mark in zip([*parts, prompt], [*behind, template.after], strict=True):
        spans.append((len(text), len(text) + len(words)))
        text += words + mark
    return _encode(vlm, text, spans)


def answer_ids(vlm: VLM, prompt: str, answer: str, pixels: Pixels | None = None) -> list[int]:
    """Ids of the answer as it stands behind its prompt, and the end token.

    Encoded behind the prompt and cut off there; where a tokenizer would merge across the border, encoded apart, so
    that the chosen and the rejected answer always stand behind the very same prompt.
    """
    text, span = _prompt(vlm, prompt, pixels)
    start = len(text) + len(vlm.template.separator)
    whole = _encode(vlm, f"{text}{vlm.template.separator}{answer}", [span, (start, start + len(answer))])
    head = _encode(vlm, text, [span])
    if whole[: len(head)] == head:
        return [*whole[len(head) :], vlm.end_id]
    apart = f"{vlm.template.separator}{answer}"
    tail = _encode(vlm, apart, [(len(vlm.template.separator), len(apart))], special=False)
    return [*tail, vlm.end_id]


def decode(vlm: VLM, ids: list[int]) -> str:
    """The text of generated ids, special tokens left out, blanks at both ends taken off."""
    return vlm.tokenizer.decode(ids, skip_special_tokens=True).strip()


def _prompt(vlm: VLM, prompt: str, pixels: Pixels | None) -> tuple[str, tuple[int, int]]:
    head = _head(vlm, pixels)
    return f"{head}{prompt}{vlm.template.after}", (len(head), len(head) + len(prompt))


def _head(vlm: VLM, pixels: Pixels | None) -> str:
    """The template up to the first user's text, the picture's placeholders expanded."""
    if pixels is None:
        return vlm.template.before
    return vlm.template.before_image.replace(vlm.processor.image_token, pixels.text, 1)


def _encode(vlm: VLM, text: str, foreign: list[tuple[int, int]], special: bool = True) -> list[int]:
    """Encode `text`, in which the spans `foreign` hold other people's words.

    Where a tokenizer reads a special token out of such a span ("</s>" typed by a model), the text is cut inside that
    token and both parts are encoded by themselves, so that it stays the letters that it is.
    """
    begin = vlm.tokenizer.bos_token or ""
    adds_begin = special and not (begin and text.startswith(begin))
    coded = vlm.tokenizer(text, add_special_tokens=adds_begin, return_offsets_mapping=True)
    for index, (start, stop) in zip(coded["input_ids"], coded["offset_mapping"], strict=True):
        if index == vlm.tokenizer.unk_token_id and text[start:stop] != vlm.tokenizer.unk_token:
            continue  # an unknown word, no token that somebody typed
        if index in vlm.special_ids and any(low <= start < stop <= high for low, high in foreign):
            return _encode_cut(vlm, text, foreign, (start, stop), special)
    return list(coded["input_ids"])


def _encode_cut(
    vlm: VLM, text: str, foreign: list[tuple[int, int]], token: tuple[int, int], special: bool
) -> list[int]:
    start, stop = token
    left_end, right_start = (start + 1, start + 1) if stop - start > 1 else (start, stop)
    left = [(low, min(high, left_end)) for low, high in foreign if low < left_end]
    right = [(max(low - right_start, 0), high - right_start) for low, high in foreign if high > right_start]
    head = _encode(vlm, text[:left_end], left, special)
    return head + _encode(vlm, text[right_start:], right, special=False)
