"""Operations and bytes of a LLaVA's forward and backward, counted by hand from its configuration.

Counted are matrix products and attention; a multiplication and the addition behind it are two operations. Every
product reads both its factors and writes its result once, and attention reads each key and value once: what has to be
moved when nothing stays in the caches. Left out are norms, activations, rotary positions, padding, and what a dense
mask computes in vain, so the counts say what is asked for, not what is spent.

`align/work.py` counts what a batch asks of the language model, and every token costs here what it does there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sena.align.work import Work


class Product(NamedTuple):
    """[rows, inner] times [inner, columns], `times` times. `trained`: how many products more a backward takes."""

    rows: int
    inner: int
    columns: int
    times: int = 1
    trained: int = 2

    def amount(self) -> Amount:
        numbers = self.rows * self.inner + self.inner * self.columns + self.rows * self.columns
        return Amount(2 * self.rows * self.inner * self.columns, numbers).times(self.times)


@dataclass(frozen=True, slots=True)
class Amount:
    """Operations, and numbers that are moved (bytes, divided by the precision's size)."""

    operations: float = 0
    numbers: float = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.operations + other.operations, self.numbers + other.numbers)

    def times(self, factor: float) -> Amount:
        return Amount(self.operations * factor, self.numbers * factor)


class Load(NamedTuple):
    """What goes through a model at once: pictures, tokens and what they see, and places that the head scores.

    `held` are tokens read before, whose keys and values are read again.
    """

    pictures: int
    work: Work
    predicted: int
    held: int = 0


def decode_step(before: Sequence[int]) -> Load:
    """One token a row, each behind as many others as `before` says."""
    return Load(0, Work(len(before), sum(before) + len(before)), len(before), sum(before))


def forward(config: Any, load: Load) -> Amount:
    """What a forward over `load` takes."""
    attention = _tower_attention(config, load.pictures) + _language_attention(config, load)
    return total(product.amount() for product in products(config, load)) + attention


def training(config: Any, load: Load) -> Amount:
    """What forward and backward take when all but the vision tower learns.

    Behind a product stand two more of its size, for the gradients of its factors; the tower has none, and the
    projector's first layer, whose input learns nothing, has one. Attention's backward has four products for two.
    """
    backward = total(product.amount().times(product.trained) for product in products(config, load))
    return forward(config, load) + backward + _language_attention(config, load).times(2)


def products(config: Any, load: Load) -> list[Product]:
    """All matrix products of a forward."""
    vision, text = config.vision_config, config.text_config
    patches = load.pictures * patches_of(vision)
    seen, tokens = patches + load.pictures, load.work.tokens
    wide, channels = text.hidden_size, text.num_attention_heads * head_width(text)
    shared, layers = text.num_key_value_heads * head_width(text), text.num_hidden_layers
    found = [
        Product(patches, vision.num_channels * vision.patch_size**2, vision.hidden_size, 1, 0),
        Product(seen, vision.hidden_size, vision.hidden_size, 4 * vision.num_hidden_layers, 0),
        Product(seen, vision.hidden_size, vision.intermediate_size, vision.num_hidden_layers, 0),
        Product(seen, vision.intermediate_size, vision.hidden_size, vision.num_hidden_layers, 0),
        Product(patches, vision.hidden_size, wide, 1, 1),
        Product(patches, wide, wide),
        Product(tokens, wide, channels, layers),
        Product(tokens, wide, shared, 2 * layers),
        Product(tokens, channels, wide, layers),
        Product(tokens, wide, text.intermediate_size, 2 * layers),
        Product(tokens, text.intermediate_size, wide, layers),
        Product(load.predicted, wide, text.vocab_size),
    ]
    return [product for product in found if product.rows]


def _tower_attention(config: Any, pictures: int) -> Amount:
    """Four operations a channel for each pair of places: scores, and values weighted by them."""
    vision = config.vision_config
    places = patches_of(vision) + 1
    layer = Amount(4 * places**2 * vision.hidden_size, 4 * places * vision.hidden_size)
    return layer.times(pictures * vision.num_hidden_layers)


def _language_attention(config: Any, load: Load) -> Amount:
    """The same for each token that a token sees."""
    text = config.text_config
    channels, shared = text.num_attention_heads * head_width(text), text.num_key_value_heads * head_width(text)
    numbers = 2 * load.work.tokens * channels + 2 * (load.work.tokens + load.held) * shared
    return Amount(4 * load.work.seen * channels, numbers).times(text.num_hidden_layers)


def weights(config: Any) -> int:
    """Numbers in all matrices, embeddings of the vocabulary included."""
    found = products(config, Load(1, Work(1, 0), 1))
    embeddings = config.text_config.vocab_size * config.text_config.hidden_size
    return sum(each.inner * each.columns * each.times for each in found) + embeddings


def learned(config: Any) -> int:
    """Those that learn in full training: all but the vision tower's."""
    tower = [each for each in products(config, Load(1, Work(0, 0), 0)) if not each.trained]
    return weights(config) - sum(each.inner * each.columns * each.times for each in tower)


def total(amounts: Iterable[Amount]) -> Amount:
    return sum(amounts, Amount())


def patches_of(vision: Any) -> int:
    return (vision.image_size // vision.patch_size) ** 2


def head_width(text: Any) -> int:
    return getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
