"""Things on a plain ground, drawn, and what people do to such pictures."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw


def thing(seed: int, size: tuple[int, int] = (600, 600)) -> Image.Image:
    """Shapes of many colours on a plain ground, with the noise of a camera."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, (250, 250, 248))
    draw = ImageDraw.Draw(image)
    width, height = size
    for number in range(7):
        x, y = (int(rng.integers(side // 5, 3 * side // 5)) for side in size)
        wide, high = int(rng.integers(20, width // 4)), int(rng.integers(20, height // 4))
        shape = draw.ellipse if number % 2 else draw.rectangle
        shape((x, y, x + wide, y + high), fill=tuple(rng.integers(20, 220, 3).tolist()), outline=(30, 30, 30))
    noisy = np.asarray(image, np.float64) + rng.normal(0, 3, (height, width, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def printed(seed: int, text: str, size_px: int, ink: int = 20) -> Image.Image:
    image = thing(seed, (1000, 1000))
    ImageDraw.Draw(image).text((60, 60), text, fill=(ink, ink, ink), font_size=size_px)
    return image


def banded(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image).copy()
    band = pixels[280:310]
    band[band.astype(int).sum(axis=2) < 700] = (240, 140, 20)
    return Image.fromarray(pixels)


def on_margin(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    canvas = Image.new("RGB", (900, 900), colour)
    canvas.paste(image, (150, 150))
    return canvas


def logo(is_cross: bool) -> Image.Image:
    """White on nothing: by its transparency alone it can be told from another."""
    image = Image.new("RGBA", (400, 400), (255, 255, 255, 0))
    draw = ImageDraw.Draw(image)
    if is_cross:
        draw.rectangle((180, 60, 220, 340), fill="white")
        draw.rectangle((60, 180, 340, 220), fill="white")
    else:
        draw.ellipse((100, 100, 300, 300), fill="white")
    return image
