"""The product on a plain background: noise, shadows and gradients tolerated, scenes refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from prodseek.vision.foreground import find_foreground, foreground_box

SIZE = (400, 300)
BOX = (120, 60, 281, 241)


def packshot(background: tuple[int, int, int] = (250, 250, 250), colour: str = "navy") -> Image.Image:
    image = Image.new("RGB", SIZE, background)
    ImageDraw.Draw(image).rectangle((BOX[0], BOX[1], BOX[2] - 1, BOX[3] - 1), fill=colour)
    return image


def with_gradient(image: Image.Image) -> Image.Image:
    shade = np.linspace(-20, 20, SIZE[0])[None, :, None] + np.linspace(-8, 8, SIZE[1])[:, None, None]
    return Image.fromarray(np.clip(np.asarray(image, np.float32) + shade, 0, 255).astype(np.uint8))


def with_noise(image: Image.Image) -> Image.Image:
    noise = np.random.default_rng(0).normal(0, 4, (SIZE[1], SIZE[0], 3))
    return Image.fromarray(np.clip(np.asarray(image, np.float32) + noise, 0, 255).astype(np.uint8))


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def with_shadow(background: tuple[int, int, int]) -> Image.Image:
    shadow = Image.new("L", SIZE, 0)
    ImageDraw.Draw(shadow).ellipse((60, 200, 340, 275), fill=70)
    shadow = shadow.filter(ImageFilter.GaussianBlur(18))
    dark = np.asarray(Image.new("RGB", SIZE, background), np.float32) - np.asarray(shadow, np.float32)[..., None]
    image = Image.fromarray(np.clip(dark, 0, 255).astype(np.uint8))
    ImageDraw.Draw(image).rectangle((BOX[0], BOX[1], BOX[2] - 1, BOX[3] - 1), fill="navy")
    return image


def assert_is_the_product(image: Image.Image, tolerance_px: float = 4) -> None:
    box = foreground_box(np.asarray(image))
    assert box is not None
    np.testing.assert_allclose(box, BOX, atol=tolerance_px)


@pytest.mark.parametrize("background", [(255, 255, 255), (230, 235, 240), (20, 20, 20), (200, 60, 40)])
def test_plain(background: tuple[int, int, int]) -> None:
    assert_is_the_product(packshot(background, "teal"))


@pytest.mark.parametrize("quality", [95, 60, 30])
def test_jpeg(quality: int) -> None:
    assert_is_the_product(as_jpeg(packshot(), quality), tolerance_px=6)


def test_noise_and_gradient() -> None:
    assert_is_the_product(with_noise(with_gradient(packshot((215, 215, 210)))))


def test_a_soft_shadow_is_background() -> None:
    assert_is_the_product(with_shadow((245, 245, 245)))


def test_a_hole_in_the_product_is_not_reached() -> None:
    image = packshot()
    ImageDraw.Draw(image).rectangle((170, 110, 220, 170), fill=(250, 250, 250))

    found = find_foreground(np.asarray(image))

    assert found is not None
    height, width = found.mask.shape
    assert found.mask[int(140 / SIZE[1] * height), int(195 / SIZE[0] * width)]
    assert not found.mask[2, 2]


def test_a_product_that_runs_out_of_the_photo() -> None:
    image = Image.new("RGB", SIZE, "white")
    ImageDraw.Draw(image).rectangle((150, 100, 250, 300), fill="darkgreen")

    box = foreground_box(np.asarray(image))

    assert box is not None
    np.testing.assert_allclose(box, (150, 100, 251, 300), atol=4)


def test_no_box_where_the_background_is_not_plain() -> None:
    rng = np.random.default_rng(1)
    scene = Image.fromarray(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)).resize(SIZE, Image.Resampling.BICUBIC)
    ImageDraw.Draw(scene).rectangle(BOX, fill="navy")
    assert foreground_box(np.asarray(scene)) is None

    halves = Image.new("RGB", SIZE, "white")
    ImageDraw.Draw(halves).rectangle((0, 0, SIZE[0], SIZE[1] // 2), fill="darkred")
    assert foreground_box(np.asarray(halves)) is None


def test_no_box_where_nearly_nothing_or_nearly_everything_is_product() -> None:
    empty = Image.new("RGB", SIZE, "white")
    assert foreground_box(np.asarray(empty)) is None
    assert foreground_box(np.asarray(with_noise(with_gradient(empty)))) is None

    speck = empty.copy()
    ImageDraw.Draw(speck).rectangle((200, 150, 204, 154), fill="black")
    assert foreground_box(np.asarray(speck)) is None

    full = empty.copy()
    ImageDraw.Draw(full).rectangle((3, 3, SIZE[0] - 4, SIZE[1] - 4), fill="black")
    assert foreground_box(np.asarray(full)) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (16, 16), (3000, 20)])
def test_odd_sizes(shape: tuple[int, int]) -> None:
    assert foreground_box(np.full((*shape, 3), 255, np.uint8)) is None


def test_the_same_box_at_any_size() -> None:
    large = packshot().resize((1600, 1200), Image.Resampling.LANCZOS)

    box = foreground_box(np.asarray(large))

    assert box is not None
    np.testing.assert_allclose(np.array(box) / 4, BOX, atol=4)
