"""Each kind against what it is said to do, by hand or on pictures where it shows; pictures against tensors."""

from __future__ import annotations

import hashlib
import math
import re

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageOps
from skimage import data
from torch import Tensor
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from sena.errors import SenaError
from sena.images.corrupt import alpha_bar, corrupt, corrupt_picture
from sena.images.kinds import KINDS
from sena.images.plane import Colours, Draws
from sena.records import Corruption
from tests.images.test_kinds import PAGE

MEAN, STD = (0.481, 0.458, 0.408), (0.269, 0.261, 0.276)
COLOURS = Colours(MEAN, STD)
PLANE = [kind for kind, known in KINDS.items() if known.unit and kind != "diffusion"]
RANDOM = ["crop", "patch_shuffle", "mask", "colour_jitter", "moco"]


def spoil(kind: str, strength: float, pixels: Tensor, seed: int = 5) -> Tensor:
    return corrupt(pixels, Corruption(kind, strength, seed), COLOURS)


def ramp(height: int, width: int) -> Tensor:
    """[3, H, W]: every value once."""
    return torch.arange(3 * height * width, dtype=torch.float32).reshape(3, height, width) / 100


def scene(side: int) -> Image.Image:
    """Sky, grass, a dark house and a light sun: flat parts, edges, and colours from near black to near white."""
    picture = Image.new("RGB", (side, side), (150, 190, 235))
    drawing = ImageDraw.Draw(picture)
    drawing.rectangle((0, side * 3 // 5, side, side), fill=(70, 130, 50))
    drawing.rectangle((side // 8, side * 2 // 5, side // 2, side * 4 // 5), fill=(30, 15, 20))
    drawing.ellipse((side * 5 // 8, side // 8, side * 7 // 8, side * 3 // 8), fill=(250, 245, 215))
    return picture


def normalised(picture: Image.Image) -> Tensor:
    """[1, 3, H, W], as a processor gives it for a picture of the model's own size."""
    values = (np.asarray(picture, dtype=np.float32) / 255 - np.float32(MEAN)) / np.float32(STD)
    return torch.from_numpy(values).permute(2, 0, 1)[None].contiguous()


@pytest.mark.parametrize("kind", PLANE)
def test_a_kind_keeps_shape_and_input_and_is_seeded(kind: str) -> None:
    for shape in ((3, 21, 34), (1, 3, 28, 28)):
        pixels = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        before = pixels.clone()
        usual = KINDS[kind].usual
        first, second, other = (spoil(kind, usual, pixels, seed) for seed in (1, 1, 3))
        assert (first.shape, first.dtype, first.is_contiguous()) == (shape, torch.float32, True)
        assert torch.equal(pixels, before)
        assert torch.equal(first, second)
        assert not torch.equal(first, pixels)
        assert torch.equal(first, other) == (kind not in RANDOM)
        assert first.isfinite().all()


@pytest.mark.parametrize("kind", PLANE)
def test_the_least_strength_leaves_the_picture_whole(kind: str) -> None:
    pixels = COLOURS.seen(torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(spoil(kind, KINDS[kind].low, pixels), pixels, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", PLANE)
@pytest.mark.parametrize("shape", [(1, 3, 2, 3), (3, 1, 1), (1, 3, 64, 9)])
def test_the_greatest_strength_bears_small_and_thin_pictures(kind: str, shape: tuple[int, ...]) -> None:
    assert spoil(kind, KINDS[kind].high, torch.rand(shape)).isfinite().all()


@pytest.mark.parametrize("kind", PLANE)
@pytest.mark.parametrize("shape", [(9, 1176), (1, 5, 3, 8, 8), (2, 3, 8, 8), (1, 8, 8), (1, 3, 0, 8)])
def test_unknown_layouts_are_refused_with_a_mend(kind: str, shape: tuple[int, ...]) -> None:
    mend = "choose diffusion, no_image, other_image"
    with pytest.raises(SenaError, match=rf"^corruption\.kind: {kind} has to know where a whole picture lies.*: {mend}"):
        spoil(kind, KINDS[kind].usual, torch.zeros(shape))


@pytest.mark.parametrize("kind", PLANE)
def test_a_strength_beyond_is_refused(kind: str) -> None:
    with pytest.raises(SenaError, match=rf"no strength of {kind}, which takes"):
        spoil(kind, KINDS[kind].high + 1, torch.zeros(3, 8, 8))


def test_no_more_patches_change_places_than_there_are_pixels() -> None:
    pixels = ramp(2, 5)
    spoiled = spoil("patch_shuffle", 64, pixels)
    assert torch.equal(spoiled[:, :, 4:], pixels[:, :, 4:])
    assert sorted(spoiled[0, :, :4].flatten().tolist()) == sorted(pixels[0, :, :4].flatten().tolist())


def test_no_image_has_nothing_to_spoil_and_other_image_is_another_already() -> None:
    with pytest.raises(SenaError, match="ask the model without a picture"):
        spoil("no_image", 0, torch.zeros(3, 8, 8))
    assert torch.equal(spoil("other_image", 0, ramp(4, 4)), ramp(4, 4))


def test_draws_are_the_known_ones() -> None:
    """The first three of PCG64 for seed 0 are NumPy's `default_rng(0).random(3)`: 0.6369617, 0.2697867, 0.0409735."""
    draws = Draws(0)
    assert [round(draws.between(0, 1), 7) for _ in range(3)] == [0.6369617, 0.2697867, 0.0409735]
    assert Draws(0).between(-2, 2) == pytest.approx(4 * 0.6369617 - 2, abs=1e-6)
    assert sorted(Draws(7).order(50).tolist()) == list(range(50))


def test_blur_of_one_point_is_a_gaussian() -> None:
    """Side 100 and 2 percent: sigma 2. The middle is 1/sum exp(-k^2 / 8) squared; two pixels off, exp(-1/2) of it."""
    point = torch.zeros(3, 100, 100)
    point[:, 50, 50] = 1
    spoiled = spoil("blur", 2, point)
    weights = [math.exp(-(k**2) / 8) for k in range(-8, 9)]
    middle = 1 / math.fsum(weights) ** 2
    assert spoiled[0, 50, 50].item() == pytest.approx(middle, rel=1e-5)
    assert spoiled[0, 50, 52].item() == pytest.approx(middle * math.exp(-0.5), rel=1e-5)
    assert spoiled[2, 52, 48].item() == pytest.approx(middle * math.exp(-1), rel=1e-5)
    assert spoiled.sum().item() == pytest.approx(3, rel=1e-5)


def test_blur_leaves_flat_pictures_flat_up_to_the_edge() -> None:
    torch.testing.assert_close(spoil("blur", 20, torch.full((3, 9, 30), 1.5)), torch.full((3, 9, 30), 1.5))


def test_low_resolution_of_two_halves() -> None:
    """Four columns 0 2 6 8, half as many: means 1 and 7 with centres at 1 and 3, so 1 2.5 5.5 7 at 0.5 1.5 2.5 3.5."""
    pixels = torch.tensor([0.0, 2.0, 6.0, 8.0]).expand(3, 4, 4)
    expected = torch.tensor([1.0, 2.5, 5.5, 7.0]).expand(3, 4, 4)
    torch.testing.assert_close(spoil("low_resolution", 2, pixels), expected)


def test_low_resolution_at_its_worst_is_the_mean_colour() -> None:
    pixels = torch.rand(3, 20, 31)
    expected = pixels.mean(dim=(1, 2), keepdim=True).expand_as(pixels)
    torch.testing.assert_close(spoil("low_resolution", 64, pixels), expected)


@pytest.mark.parametrize("seed", range(5))
def test_crop_is_a_window_of_that_area(seed: int) -> None:
    """On a plane x + 100 y a crop stays a plane; cutting 3/4 of the area halves its slopes, within the old range."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(60.0), indexing="ij")
    plane = (x + 100 * y).expand(3, 40, 60)
    spoiled = spoil("crop", 0.75, plane, seed)[0, 2:-2, 2:-2]
    torch.testing.assert_close(spoiled.diff(dim=1), torch.full_like(spoiled.diff(dim=1), 0.5), rtol=0, atol=2e-3)
    torch.testing.assert_close(spoiled.diff(dim=0), torch.full_like(spoiled.diff(dim=0), 50), rtol=0, atol=2e-3)
    assert spoiled.min() >= plane.min()
    assert spoiled.max() <= plane.max()


def test_flips() -> None:
    pixels = ramp(4, 5)
    assert torch.equal(spoil("flip", 1, pixels), pixels[:, :, range(4, -1, -1)])
    assert torch.equal(spoil("flip", 2, pixels), pixels[:, range(3, -1, -1)][:, :, range(4, -1, -1)])


def test_patches_change_places_whole_and_the_rest_stays() -> None:
    """9 x 13 in 4 x 4 patches of 2 x 3: the last row and column stay, and every patch is there once."""
    pixels = ramp(9, 13)
    spoiled = spoil("patch_shuffle", 4, pixels)
    assert torch.equal(spoiled[:, 8:], pixels[:, 8:])
    assert torch.equal(spoiled[:, :, 12:], pixels[:, :, 12:])

    def patches(picture: Tensor) -> list[bytes]:
        places = [(row, column) for row in range(0, 8, 2) for column in range(0, 12, 3)]
        return [picture[:, row : row + 2, column : column + 3].numpy().tobytes() for row, column in places]

    assert sorted(patches(spoiled)) == sorted(patches(pixels))
    assert patches(spoiled) != patches(pixels)


@pytest.mark.parametrize(("share", "cells"), [(0, 0), (0.25, 64), (0.5, 128), (1, 256)])
def test_mask_paints_over_that_share_of_cells(share: float, cells: int) -> None:
    """32 x 48 pixels in 16 x 16 cells of 2 x 3: six pixels a cell, all of it or nothing."""
    painted = spoil("mask", share, torch.ones(3, 32, 48)) == 0
    assert int(painted[0].sum()) == 6 * cells
    by_cell = painted[0].reshape(16, 2, 16, 3).permute(0, 2, 1, 3).flatten(2)
    assert torch.equal(by_cell.all(dim=2), by_cell.any(dim=2))
    assert torch.equal(painted[0], painted[2])


def test_kinds_of_colour_want_to_know_black_from_white() -> None:
    for kind in ("colour_jitter", "moco"):
        with pytest.raises(SenaError, match=rf"{kind} has to know black from white.*: choose diffusion"):
            corrupt(torch.zeros(3, 8, 8), Corruption(kind, 0.5, 0))


def test_jitter_by_hand() -> None:
    """Two grey pixels a and b, factors f, g for brightness and contrast: the first becomes m + (a f - m) g with
    m = f (a + b) / 2. Saturation and hue leave grey alone. Small enough that nothing is cut off."""
    draws = Draws(5)
    bright, contrast = draws.between(0.6, 1.4), draws.between(0.6, 1.4)
    a, b = 0.4, 0.5
    middle = bright * (a + b) / 2
    expected = torch.tensor([middle + (value * bright - middle) * contrast for value in (a, b)]).expand(3, 1, 2)
    grey = torch.tensor([a, b]).expand(3, 1, 2)
    torch.testing.assert_close(COLOURS.real(spoil("colour_jitter", 0.4, COLOURS.seen(grey))), expected)


def test_jitter_stays_between_black_and_white_and_turns_colours() -> None:
    red = COLOURS.seen(torch.tensor([0.9, 0.1, 0.2]).view(3, 1, 1).expand(3, 4, 4))
    made = [COLOURS.real(spoil("colour_jitter", 1, red, seed)) for seed in range(60)]
    assert all(picture.min() >= -1e-6 and picture.max() <= 1 + 1e-6 for picture in made)
    assert len({int(picture[:, 0, 0].argmax()) for picture in made}) > 1


def test_moco_draws_its_parts_in_their_shares() -> None:
    """300 seeds on one flat colour: grey 0.2 of the time, else changed 0.8 of the time; within 4 standard errors."""
    flat = torch.tensor([0.7, 0.5, 0.2]).view(3, 1, 1).expand(3, 6, 6)
    made = [COLOURS.real(spoil("moco", 1, COLOURS.seen(flat), seed))[:, 0, 0] for seed in range(300)]
    coloured = [pixel for pixel in made if (pixel - pixel[0]).abs().max() > 1e-5]
    assert 1 - len(coloured) / 300 == pytest.approx(0.2, abs=4 * math.sqrt(0.2 * 0.8 / 300))
    changed = [pixel for pixel in coloured if (pixel - flat[:, 0, 0]).abs().max() > 1e-5]
    assert len(changed) / len(coloured) == pytest.approx(0.8, abs=4 * math.sqrt(0.2 * 0.8 / len(coloured)))


SIZE = 224
PROCESSOR = LlavaImageProcessorPil(size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE})


def photographs() -> list[Image.Image]:
    """The square middle of four photographs that come with scikit-image, of 300 to 512 pixels a side."""
    taken = [
        Image.fromarray(take()).convert("RGB") for take in (data.astronaut, data.chelsea, data.coffee, data.rocket)
    ]
    return [ImageOps.fit(each, (min(each.size),) * 2) for each in taken]


def gaps(kind: str, strength: float) -> tuple[float, float, float]:
    """Between what LLaVA's processor makes of the twin, and the spoiled tensor: the mean and the largest difference of
    twins made at the model's size, and the mean difference of twins made at the photographs' own sizes."""
    mean, std, corruption = PROCESSOR.image_mean, PROCESSOR.image_std, Corruption(kind, strength, 5)

    def processed(picture: Image.Image) -> Tensor:
        return PROCESSOR(images=[picture], return_tensors="pt")["pixel_values"]

    same, own = [], []
    for photograph in photographs():
        small = photograph.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        spoiled = corrupt(processed(small), corruption, Colours(mean, std))
        same.append((processed(corrupt_picture(small, corruption, mean, std)) - spoiled).abs())
        own.append((processed(corrupt_picture(photograph, corruption, mean, std)) - spoiled).abs())
    return torch.stack(same).mean().item(), torch.stack(same).max().item(), torch.stack(own).mean().item()


def told_gaps() -> list[tuple[str, float, list[float]]]:
    """Kind, strength and the three gaps, as the page's second table has them."""
    lines = re.findall(r"^\| (\w+) ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE.read_text(), re.MULTILINE)
    return [(kind, float(strength), [float(gap) for gap in rest]) for kind, strength, *rest in lines]


@pytest.mark.parametrize(("kind", "strength", "told"), told_gaps())
def test_the_gap_between_picture_and_tensor_is_the_one_told(kind: str, strength: float, told: list[float]) -> None:
    """Whole values from 0 to 255 round by at most 0.5 / 255 / 0.261 = 0.0075; what is more was clipped."""
    measured = gaps(kind, strength)
    assert list(measured) == pytest.approx(told, rel=0.02, abs=0.0002)
    assert measured[1] <= 0.0076 or kind == "diffusion"


def test_every_kind_that_changes_pixels_has_its_gap_told() -> None:
    assert {kind for kind, _, _ in told_gaps()} == {"diffusion", *PLANE}


def test_noise_put_on_a_larger_picture_is_weaker_for_the_model() -> None:
    """Bringing 512 pixels to 224 averages neighbours, whose noise is independent: less than half of it is left."""
    photograph, corruption = photographs()[0], Corruption("diffusion", 300, 5)
    twin = PROCESSOR(images=[corrupt_picture(photograph, corruption)], return_tensors="pt")["pixel_values"]
    clean = PROCESSOR(images=[photograph], return_tensors="pt")["pixel_values"]
    noise = twin - alpha_bar(300) ** 0.5 * clean
    assert 0.3 < noise.std().item() / (1 - alpha_bar(300)) ** 0.5 < 0.5


KNOWN = {
    ("blur", 4): "71e7ba23d1a825c3",
    ("low_resolution", 8): "1f7c29406aa0428b",
    ("crop", 0.75): "d39a07816e991105",
    ("flip", 1): "4730d8d81c7f5fde",
    ("patch_shuffle", 8): "a0f523443a25f9f7",
    ("mask", 0.5): "58395bde20035a6f",
    ("colour_jitter", 0.8): "6bda7e19add8fee9",
    ("moco", 1): "746632ec42cbf7e4",
}


@pytest.mark.parametrize(("kind", "strength"), KNOWN)
def test_the_result_of_seed_5_is_the_known_one(kind: str, strength: float) -> None:
    """Rounded to 1/1000, so that no machine's last digit counts: another draw or another definition would show."""
    spoiled = spoil(kind, strength, normalised(scene(32)))
    digits = (spoiled * 1000).round().to(torch.int32).numpy().tobytes()
    assert hashlib.sha256(digits).hexdigest()[:16] == KNOWN[kind, strength]
