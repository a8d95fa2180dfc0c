"""Which of a step's pairs a rank takes: whole images, by how many tokens they are likely to give the model.

Texts are counted by their bytes, four to a token, and the first picture stands for all: to encode every pair on every
rank would cost more than an uneven share does. How pairs are shared out changes no result beyond rounding.

Legend: R ranks.
"""

from __future__ import annotations

from collections.abc import Sequence

from sena.align import ranks
from sena.align.plain import OpenImage
from sena.models import encode
from sena.models.vlm import VLM
from sena.records import Pair

BYTES_A_TOKEN = 4


def picture_tokens(vlm: VLM, pairs: Sequence[Pair], open_image: OpenImage) -> int:
    """What the picture of the first pair adds to its prompt."""
    pair = min(pairs, key=lambda pair: (pair.image_id, pair.id))
    pixels = encode.process(vlm, open_image(pair.image_id))
    return len(encode.prompt_ids(vlm, pair.prompt, pixels)) - len(encode.prompt_ids(vlm, pair.prompt, None))


def numbers_of(pairs: Sequence[Pair], rank: int, size: int, picture: int, is_tree: bool) -> list[int]:
    """Numbers of the pairs that `rank` of `size` takes, ascending. Images are not divided; a rank may get none."""
    images: dict[str, list[Pair]] = {}
    for pair in pairs:
        images.setdefault(pair.image_id, []).append(pair)
    costs = {image: cost(group, picture, is_tree) for image, group in images.items()}
    own = set(ranks.share(costs, size)[rank])
    return [number for number, pair in enumerate(pairs) if pair.image_id in own]


def cost(pairs: Sequence[Pair], picture: int, is_tree: bool) -> int:
    """About how many tokens the pairs of one image are: as a tree, or as a row for each answer."""
    answers = sum(_tokens(pair.chosen) + _tokens(pair.rejected) for pair in pairs)
    if is_tree:
        return picture + sum(_tokens(prompt) for prompt in {pair.prompt for pair in pairs}) + answers
    return sum(2 * (picture + _tokens(pair.prompt)) for pair in pairs) + answers


def _tokens(text: str) -> int:
    return len(text.encode()) // BYTES_A_TOKEN + 1
