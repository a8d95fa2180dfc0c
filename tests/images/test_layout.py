"""Planes of what each real image processor makes of a picture, whose values say where they come from."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sena.images import layout
from sena.images.corrupt import corrupt
from sena.images.kinds import KINDS
from sena.images.layout import Planes
from sena.images.plane import Colours
from sena.records import Corruption

MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
NORMAL: dict[str, Any] = {"image_mean": MEAN, "image_std": STD}
SIZES = [(84, 56), (56, 84), (60, 60), (120, 30), (200, 90), (33, 99)]
TILE = {"height": 28, "width": 28}
EDGE = {"longest_edge": 28}
PINS = [[28, 28], [28, 56], [56, 28], [56, 56], [28, 84], [84, 28]]
LAYOUTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llava": ("llava", "LlavaImageProcessorPil", {"size": {"shortest_edge": 28}, "crop_size": TILE}),
    "paligemma": ("siglip", "SiglipImageProcessorPil", {"size": TILE}),
    "gemma3": ("gemma3", "Gemma3ImageProcessorPil", {"size": TILE}),
    "gemma3, pan and scan": (
        "gemma3",
        "Gemma3ImageProcessorPil",
        {
            "size": TILE,
            "do_pan_and_scan": True,
            "pan_and_scan_min_crop_size": 8,
            "pan_and_scan_max_num_crops": 4,
            "pan_and_scan_min_ratio_to_activate": 1.2,
        },
    ),
    "llava_next": (
        "llava_next",
        "LlavaNextImageProcessorPil",
        {"size": {"shortest_edge": 28}, "crop_size": TILE, "image_grid_pinpoints": PINS},
    ),
    "onevision": ("llava_onevision", "LlavaOnevisionImageProcessorPil", {"size": TILE, "image_grid_pinpoints": PINS}),
    "qwen2_vl": ("qwen2_vl", "Qwen2VLImageProcessorPil", {"size": {"shortest_edge": 784, "longest_edge": 12544}}),
    "qwen3_vl": (
        "qwen2_vl",
        "Qwen2VLImageProcessorPil",
        {"size": {"shortest_edge": 1024, "longest_edge": 16384}, "patch_size": 16},
    ),
    "idefics3": ("idefics3", "Idefics3ImageProcessorPil", {"size": {"longest_edge": 112}, "max_image_size": EDGE}),
    "smolvlm": ("smolvlm", "SmolVLMImageProcessorPil", {"size": {"longest_edge": 112}, "max_image_size": EDGE}),
    "internvl": ("got_ocr2", "GotOcr2ImageProcessorPil", {"size": TILE, "crop_to_patches": True, "max_patches": 6}),
    "pixtral": (
        "pixtral",
        "PixtralImageProcessorPil",
        {"size": {"longest_edge": 64}, "patch_size": {"height": 14, "width": 14}},
    ),
}


def made_by(name: str, picture: Image.Image) -> tuple[dict[str, Tensor], Planes]:
    """The processor's tensors and the planes in them."""
    room, cls, options = LAYOUTS[name]
    module = importlib.import_module(f"transformers.models.{room}.image_processing_pil_{room}")
    processor = getattr(module, cls)(**options, **NORMAL)
    tensors = dict(processor(images=[picture], return_tensors="pt"))
    return tensors, layout.planes(tensors, processor, picture.size)


def slope(width: int, height: int) -> Image.Image:
    """Red grows from left to right, green from top to bottom, blue is the same everywhere."""
    red, green = np.meshgrid(np.linspace(10, 245, width), np.linspace(10, 245, height))
    return Image.fromarray(np.stack([red, green, np.full_like(red, 200)], axis=-1).round().astype(np.uint8))


def each_layout(test: Any) -> Any:
    return pytest.mark.parametrize("name", LAYOUTS)(pytest.mark.parametrize("size", SIZES)(test))


@each_layout
def test_a_plane_is_the_picture_put_together(name: str, size: tuple[int, int]) -> None:
    """Red has to grow along every row of every plane and green down every column, as they do in the picture: tiles in a
    wrong order or patches in a wrong place would fall back somewhere. Pan and scan cuts its last strip shorter, and
    resampling overshoots a little at its edges."""
    tensors, planes = made_by(name, slope(*size))
    assert planes
    for plane in planes:
        red, green, blue = layout.read(tensors["pixel_values"], plane)
        assert red.diff(dim=1).min() > -0.08
        assert green.diff(dim=0).min() > -0.08
        assert red.diff(dim=0).abs().max() < 0.08
        assert green.diff(dim=1).abs().max() < 0.08
        assert (blue - (200 / 127.5 - 1)).abs().max() < 0.05
        if name != "llava":  # which cuts off what is no square
            assert red[:, -1].min() - red[:, 0].max() > 1.5
            assert green[-1].min() - green[0].max() > 1.5


@each_layout
def test_written_back_it_is_the_same(name: str, size: tuple[int, int]) -> None:
    pixels, planes = (made := made_by(name, slope(*size)))[0]["pixel_values"], made[1]
    again = pixels.clone().contiguous()
    for plane in planes:
        layout.write(again, plane, layout.read(pixels, plane))
    assert torch.equal(again, pixels)
    places = torch.cat([plane.flatten() for plane in planes])
    assert len(places.unique()) == len(places)
    assert places.max() < pixels.numel()


@pytest.mark.parametrize("name", LAYOUTS)
def test_all_but_padding_lies_in_a_plane(name: str) -> None:
    """What no plane holds is black in any picture: LLaVA-NeXT's borders, which its model leaves out again."""
    white = Image.new("RGB", (120, 30), (255, 255, 255))
    tensors, planes = made_by(name, white)
    rest = torch.ones(tensors["pixel_values"].numel(), dtype=torch.bool)
    rest[torch.cat([plane.flatten() for plane in planes])] = False
    assert rest.any() == (name in ("llava_next", "onevision"))
    assert (tensors["pixel_values"].flatten()[rest] < -0.9).all()


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "no_image"])
def test_every_kind_takes_every_layout(name: str, kind: str) -> None:
    tensors, planes = made_by(name, slope(120, 50))
    pixels, corruption = tensors["pixel_values"], Corruption(kind, KINDS[kind].usual, 3)
    before = pixels.clone()
    spoiled = corrupt(pixels, corruption, Colours(MEAN, STD), planes)
    assert spoiled.shape == pixels.shape
    assert torch.equal(pixels, before)
    assert torch.equal(spoiled, pixels) == (kind in ("none", "other_image"))


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name not in ("llava", "gemma3, pan and scan")])
def test_a_flip_of_the_tensors_is_what_the_flipped_picture_gives(name: str) -> None:
    """The picture flipped first and processed then, against the processed one flipped: the same up to resampling. The
    canvas of LLaVA-NeXT may lie one pixel off its middle."""
    picture = slope(120, 51)
    tensors, planes = made_by(name, picture)
    flipped, _ = made_by(name, picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    spoiled = corrupt(tensors["pixel_values"], Corruption("flip", 1, 0), Colours(MEAN, STD), planes)
    inside = torch.cat([plane.flatten() for plane in planes])
    assert (spoiled - flipped["pixel_values"]).flatten()[inside].abs().max() < 0.1


@pytest.mark.parametrize("name", ["llava_next", "idefics3", "internvl"])
def test_a_picture_that_is_seen_twice_is_spoiled_alike(name: str) -> None:
    """The same window is cut out of the small picture and of the tiles: brought to one size they agree."""
    tensors, planes = made_by(name, slope(112, 112))
    spoiled = corrupt(tensors["pixel_values"], Corruption("crop", 0.75, 3), Colours(MEAN, STD), planes)
    small, large = (layout.read(spoiled, plane)[None] for plane in planes)
    resized = torch.nn.functional.interpolate(large, small.shape[2:], mode="area")
    assert (resized - small).abs().max() < 0.1
    assert small[0, 0].max() - small[0, 0].min() < 1.1  # half of the red there was


@pytest.mark.parametrize("size", [(w, h) for w in (40, 90, 111, 160, 300) for h in (40, 77, 150, 290)])
def test_rows_and_columns_of_tiles_are_those_of_the_processor(size: tuple[int, int]) -> None:
    """Idefics3 tells them on request; InternVL's are those of its own choice of a canvas."""
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    processor = Idefics3ImageProcessorPil(size={"longest_edge": 112}, max_image_size=EDGE)
    made = processor(images=[slope(*size)], return_tensors="pt", return_row_col_info=True)
    rows, columns = made["rows"][0][0], made["cols"][0][0]
    assert layout._grid(rows * columns, size) == (rows, columns)
    columns, rows = get_optimal_tiled_canvas(size[::-1], (28, 28), 1, 12)
    assert layout._grid(rows * columns, size) == (rows, columns)


@pytest.mark.parametrize("shape", [(9, 1176), (1, 5, 4, 8, 8), (1, 8, 8), (1, 3, 0, 8), (2, 5, 3, 8, 8)])
def test_an_unknown_layout_has_no_plane(shape: tuple[int, ...]) -> None:
    assert layout.planes({"pixel_values": torch.zeros(shape)}, None, (8, 8)) == ()


def test_patches_of_a_film_have_no_plane() -> None:
    tensors, _ = made_by("qwen2_vl", slope(84, 56))
    processor = type("Processor", (), {"patch_size": 14, "merge_size": 2, "temporal_patch_size": 2})
    film = {**tensors, "image_grid_thw": torch.tensor([[2, 4, 6]])}
    assert layout.planes(film, processor, (84, 56)) == ()
    assert len(layout.planes(tensors, processor, (84, 56))) == 1


def test_places_by_hand() -> None:
    """Two rows and four columns of one-pixel patches, merged by two, one frame: [8, 3]. Block by block: the first four
    patches are the left square, row by row. So the red values lie at 0 3 12 15 in the first row, 6 9 18 21 in the
    second."""
    processor = type("Processor", (), {"patch_size": 1, "merge_size": 2, "temporal_patch_size": 1})
    tensors = {"pixel_values": torch.zeros(8, 3), "image_grid_thw": torch.tensor([[1, 2, 4]])}
    (plane,) = layout.planes(tensors, processor, (4, 2))
    assert plane[0, 0].tolist() == [[0, 3, 12, 15], [6, 9, 18, 21]]
    assert torch.equal(plane[0, 1], plane[0, 0] + 1)
