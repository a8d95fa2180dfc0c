"""From text and pictures to ids and pixels. What people or models wrote is always encoded as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from sena.errors import ModelError
from sena.models import families
from sena.models.vlm import VLM

_TEXT_PARTS = ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids", "text_replacement_offsets")


@dataclass(frozen=True, slots=True)
class Pixels:
    """A picture as the model takes it, and `text`, what stands for it in the prompt.

    The first axis of each tensor counts pictures, tiles or patches, so that several pictures are joined along it:
    pixel_values is [1, 3, H, W] where pictures have one size, [tiles, 3, H, W] where they are cut into tiles, and
    [patches, values of a patch] where they keep their proportions (image_grid_thw [1, 3] then counts the patches).
    """

    tensors: dict[str, torch.Tensor]
    text: str


def process(vlm: VLM, picture: Image.Image) -> Pixels:
    """Run the model's processor on one RGB picture. Float32, on the CPU, since corruption acts on it next.

    The whole processor is called rather than its image half, since some families set how pictures are cut there.
    Raises ModelError when it does not say what stands for the picture in the prompt.
    """
    processor = vlm.processor
    if families.pads_to_square(vlm.family):
        picture = pad_square(picture, tuple(int(255 * mean) for mean in processor.image_processor.image_mean))
    made = processor(
        images=[picture],
        text=[processor.image_token],
        return_text_replacement_offsets=True,
        images_kwargs={"return_tensors": "pt"},
    )
    try:
        text = made["text_replacement_offsets"][0][0]["replacement"]
    except (KeyError, IndexError) as error:
        raise ModelError(
            f"the processor of {vlm.name} does not say what stands for a picture in a prompt, so sena cannot use it"
        ) from error
    seen = {name: part for name, part in made.items() if isinstance(part, torch.Tensor) and name not in _TEXT_PARTS}
    return Pixels(seen, text)


def pad_square(picture: Image.Image, colour: tuple[int, ...]) -> Image.Image:
    """The picture in the middle of a square of its longer side, as LLaVA's own preprocessing does."""
    side = max(picture.size)
    if picture.size == (side, side):
        return picture
    square = Image.new("RGB", (side, side), colour)
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


def stack(pictures: list[Pixels], device: Any, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The tensors of several pictures behind one another, floating ones in the model's precision.

    Where the number of tiles [1, tiles, ...] or the size [1, 3, H, W] is the picture's own, smaller ones are filled up
    with zeros behind their end, as their processors do; these models leave out what is filled up.
    """
    joined = {name: _join([each.tensors[name] for each in pictures]) for name in pictures[0].tensors}
    return {
        name: tensor.to(device, dtype if tensor.is_floating_point() else tensor.dtype)
        for name, tensor in joined.items()
    }


def _join(tensors: list[torch.Tensor]) -> torch.Tensor:
    sizes = [max(sides) for sides in zip(*(each.shape[1:] for each in tensors), strict=True)]
    return torch.cat([_grow(each, sizes) for each in tensors])


def _grow(tensor: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    """Zeros behind the end of every axis but the first, up to `sizes`."""
    missing = [size - side for size, side in zip(sizes, tensor.shape[1:], strict=True)]
    return torch.nn.functional.pad(tensor, [each for side in reversed(missing) for each in (0, side)])


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
    unknown, steering = vlm.tokenizer.unk_token_id, vlm.special_ids  # asked once: a tokenizer's properties are slow
    for index, (start, stop) in zip(coded["input_ids"], coded["offset_mapping"], strict=True):
        if index == unknown and text[start:stop] != vlm.tokenizer.unk_token:
            continue  # an unknown word, no token that somebody typed
        if index in steering and any(low <= start < stop <= high for low, high in foreign):
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
