"""The noise schedule against the published table and a second computation; the draw against its own statistics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from sena.errors import SenaError
from sena.images.corrupt import alpha_bar, corrupt, corrupt_picture
from sena.records import Corruption
from tests.images.make import photo

# step: abar, its root, the root of what is missing to 1
TABLE = {
    500: (0.744799, 0.863017, 0.505175),
    600: (0.539118, 0.734246, 0.678883),
    700: (0.351266, 0.592677, 0.805440),
    800: (0.218102, 0.467014, 0.884250),
    999: (0.081249, 0.285042, 0.958515),
}
MEAN, STD = (0.481, 0.458, 0.408), (0.269, 0.261, 0.276)


@pytest.mark.parametrize("step", TABLE)
def test_schedule_equals_the_table(step: int) -> None:
    abar, root, rest = TABLE[step]
    assert alpha_bar(step) == pytest.approx(abar, abs=5e-7)
    assert math.sqrt(alpha_bar(step)) == pytest.approx(root, abs=5e-7)
    assert math.sqrt(1 - alpha_bar(step)) == pytest.approx(rest, abs=5e-7)


@pytest.mark.parametrize(("step", "abar"), [(499, 0.746675), (599, 0.541202)])
def test_a_schedule_off_by_one_would_show(step: int, abar: float) -> None:
    assert alpha_bar(step) == pytest.approx(abar, abs=5e-7)
    assert alpha_bar(step) != pytest.approx(TABLE[step + 1][0], abs=1e-3)


def test_schedule_equals_a_computation_in_plain_python() -> None:
    """Logarithms summed exactly by `fsum`, so it shares neither the product nor the library with the code."""
    logs = []
    for step in range(1000):
        x = -6 + 12 * step / 999
        logs.append(math.log1p(-((0.005 - 1e-5) / (1 + math.exp(-x)) + 1e-5)))
        assert alpha_bar(step) == pytest.approx(math.exp(math.fsum(logs)), rel=1e-12)


@pytest.mark.parametrize("step", [-1, 1000, 599.5, math.nan, math.inf])
def test_steps_out_of_range_are_refused(step: float) -> None:
    with pytest.raises(SenaError, match=r"0 to 999.*corruption\.strength"):
        alpha_bar(step)


def test_noise_has_the_mean_and_variance_of_the_schedule() -> None:
    """200,000 draws around the constant 2: mean 2 sqrt(abar), variance 1 - abar, each +- 5 standard errors."""
    count = 200_000
    spoiled = corrupt(torch.full((count,), 2.0), Corruption("diffusion", 600, seed=11)).double()
    abar, root, _ = TABLE[600]
    assert spoiled.mean().item() == pytest.approx(2 * root, abs=5 * math.sqrt((1 - abar) / count))
    assert spoiled.var().item() == pytest.approx(1 - abar, abs=5 * (1 - abar) * math.sqrt(2 / count))


def test_noise_is_the_seeds_own_draw_in_float32() -> None:
    pixels = torch.linspace(-2, 2, 3 * 20 * 30).reshape(3, 20, 30)
    noise = torch.randn(3, 20, 30, generator=torch.Generator().manual_seed(2**63 - 1))
    expected = math.sqrt(alpha_bar(700)) * pixels.double() + math.sqrt(1 - alpha_bar(700)) * noise.double()
    spoiled = corrupt(pixels, Corruption("diffusion", 700, seed=2**63 - 1))
    assert spoiled.dtype == torch.float32
    torch.testing.assert_close(spoiled.double(), expected, rtol=0, atol=1e-6)


def test_the_same_corruption_gives_the_same_bytes_and_leaves_its_input_alone() -> None:
    pixels = torch.rand(2, 3, 8, 8)
    before = pixels.clone()
    first, second, other = (corrupt(pixels, Corruption("diffusion", 600, seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(pixels, before)


def test_the_generator_of_the_process_is_not_touched() -> None:
    torch.manual_seed(5)
    undisturbed = torch.rand(3)
    torch.manual_seed(5)
    corrupt(torch.rand(0), Corruption("diffusion", 600, 1))
    assert torch.equal(torch.rand(3), undisturbed)


def test_none_is_a_copy() -> None:
    pixels = torch.rand(3, 4, 4)
    same = corrupt(pixels, Corruption("none", 0, 0))
    assert torch.equal(same, pixels)
    assert same.data_ptr() != pixels.data_ptr()


def test_unknown_kinds_name_the_known_ones() -> None:
    with pytest.raises(SenaError, match=r"no corruption 'difusion': choose one of blur, .*diffusion, .*none, "):
        corrupt(torch.rand(3), Corruption("difusion", 600, 0))


@pytest.mark.parametrize("pixels", [torch.zeros(3, dtype=torch.float16), torch.zeros(3, device="meta")])
def test_other_types_and_places_are_refused(pixels: torch.Tensor) -> None:
    with pytest.raises(TypeError, match="float32 on the CPU"):
        corrupt(pixels, Corruption("none", 0, 0))


def test_noise_needs_no_picture_plane() -> None:
    for shape in ((3, 5, 7), (1, 2, 3, 5, 7), (9, 1176)):
        spoiled = corrupt(torch.rand(shape), Corruption("diffusion", 10, 3))
        assert (spoiled.shape, spoiled.dtype) == (shape, torch.float32)


def test_picture_twin_shows_what_the_model_sees() -> None:
    """The model's own way, written out with numpy: scale, normalise, noise, back, clip."""
    picture, corruption = photo(24, 16), Corruption("diffusion", 500, 9)
    values = np.asarray(picture, dtype=np.float64) / 255
    normal = ((values - MEAN) / STD).transpose(2, 0, 1)
    spoiled = corrupt(torch.tensor(normal, dtype=torch.float32), corruption).double().numpy().transpose(1, 2, 0)
    expected = np.clip(spoiled * STD + MEAN, 0, 1) * 255
    shown = np.asarray(corrupt_picture(picture, corruption, MEAN, STD), dtype=np.float64)
    assert np.abs(shown - expected).max() <= 0.5 + 1e-3


def test_picture_twin_without_corruption_is_the_picture() -> None:
    picture = photo(24, 16)
    same = corrupt_picture(picture, Corruption("none", 0, 0), MEAN, STD)
    assert same.tobytes() == picture.tobytes()


def test_picture_twin_resizes_and_takes_any_mode() -> None:
    shown = corrupt_picture(Image.new("LA", (40, 20)), Corruption("diffusion", 999, 1), MEAN, STD, size=(10, 12))
    assert (shown.size, shown.mode) == ((10, 12), "RGB")


def test_the_draw_of_seed_0_is_the_known_one() -> None:
    """The first normal numbers of torch for seed 0 are 1.5410, -0.2934, -2.1788, 0.5684: another draw would show."""
    spoiled = corrupt(torch.zeros(4), Corruption("diffusion", 600, 0))
    known = torch.tensor([1.5410, -0.2934, -2.1788, 0.5684])
    torch.testing.assert_close(spoiled, known * TABLE[600][2], rtol=0, atol=1e-4)
