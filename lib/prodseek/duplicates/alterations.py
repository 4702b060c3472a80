"""Alterations that people make before they upload a photo again: copies with a known verdict, for training and measuring."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from prodseek.duplicates.verdicts import Verdict

QUALITY = 90
_BADGE_WORDS = ("SALE", "NEW", "-30 %")
_WATERMARK_WORDS = ("shop.example", "PREVIEW", "sample only", "© studio 4", "BEST PRICE")


@dataclass(frozen=True)
class Alteration:
    """A way to make a copy. alter: (photo, another photo, random numbers) -> the copy. quality: of the copy's JPEG."""

    verdict: Verdict
    alter: Callable[[Image.Image, Image.Image, np.random.Generator], Image.Image]
    quality: int = QUALITY


def altered(name: str, photo: bytes, scene: Image.Image, rng: np.random.Generator) -> bytes:
    """The file of a copy. name: a key of ALTERATIONS. photo: the original's file. scene: the photo that `paste` pastes into."""
    if name == "exact":
        return photo
    alteration = ALTERATIONS[name]
    with Image.open(io.BytesIO(photo)) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    return jpeg(alteration.alter(upright, scene, rng), alteration.quality)


def jpeg(image: Image.Image, quality: int = QUALITY) -> bytes:
    """The image as a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def with_badge(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The photo with a round badge with a word in one of its corners."""
    out = photo.copy()
    draw = ImageDraw.Draw(out)
    radius = round(min(photo.size) * rng.uniform(0.09, 0.15))
    x = radius + 8 if rng.random() < 0.5 else photo.width - radius - 8
    y = radius + 8 if rng.random() < 0.5 else photo.height - radius - 8
    colour = tuple(int(value) for value in rng.integers(0, 256, 3))
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    draw.text(
        (x, y), str(rng.choice(_BADGE_WORDS)), fill="white", font=ImageFont.load_default(radius * 0.6), anchor="mm"
    )
    return out


def with_watermark(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The photo with half transparent words across it, in one line or several."""
    layer = Image.new("RGBA", photo.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    word, n_lines = str(rng.choice(_WATERMARK_WORDS)), int(rng.choice([1, 1, 3]))
    size = min(photo.width * rng.uniform(0.6, 1.1) / (0.55 * len(word)), photo.height / (1.6 * n_lines))
    grey, opacity = int(rng.choice([60, 255])), int(rng.integers(90, 170))
    for line in range(n_lines):
        place = (photo.width / 2, photo.height * (line + 0.5) / n_lines)
        outline = (255 - grey,) * 3 + (opacity // 2,)
        fill = (grey,) * 3 + (opacity,)
        font = ImageFont.load_default(max(8.0, size))
        draw.text(place, word, fill=fill, font=font, anchor="mm", stroke_width=1, stroke_fill=outline)
    layer = layer.rotate(float(rng.uniform(-30, 30)), Image.Resampling.BICUBIC)
    return Image.alpha_composite(photo.convert("RGBA"), layer).convert("RGB")


def _resized(photo: Image.Image, scale: float) -> Image.Image:
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    return photo.resize(size, Image.Resampling.LANCZOS)


def _cropped(photo: Image.Image, area: float, rng: np.random.Generator) -> Image.Image:
    width, height = (round(side * math.sqrt(area)) for side in photo.size)
    x, y = (round(float(rng.uniform(0, free))) for free in (photo.width - width, photo.height - height))
    return photo.crop((x, y, x + width, y + height))


def _padded(photo: Image.Image, share: float, rng: np.random.Generator) -> Image.Image:
    fill = (255, 255, 255) if rng.random() < 0.7 else tuple(int(value) for value in rng.integers(0, 256, 3))
    return ImageOps.expand(photo, (round(share * photo.width), round(share * photo.height)), fill=fill)


def _hue_shifted(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    hue, saturation, value = photo.convert("HSV").split()
    shift = int(rng.integers(43, 214))  # of 256: 60 to 300 degrees
    return Image.merge("HSV", (hue.point([(v + shift) % 256 for v in range(256)]), saturation, value)).convert("RGB")


def _pasted(photo: Image.Image, scene: Image.Image, rng: np.random.Generator) -> Image.Image:
    small = _resized(photo, float(rng.uniform(0.45, 0.55)))
    out = ImageOps.fit(scene.convert("RGB"), photo.size, Image.Resampling.LANCZOS)
    x, y = (round(float(rng.uniform(0, free))) for free in (out.width - small.width, out.height - small.height))
    out.paste(small, (x, y))
    return out


# The fifteen alterations that copy detection is measured on.
ALTERATIONS = {
    "exact": Alteration(Verdict.IDENTICAL_BYTES, lambda photo, _, __: photo),
    "jpeg 30": Alteration(Verdict.RE_ENCODED, lambda photo, _, __: photo, 30),
    "jpeg 10": Alteration(Verdict.RE_ENCODED, lambda photo, _, __: photo, 10),
    "half size": Alteration(Verdict.RESIZED, lambda photo, _, __: _resized(photo, 0.5)),
    "crop 80 %": Alteration(Verdict.CROPPED, lambda photo, _, rng: _cropped(photo, 0.8, rng)),
    "crop 50 %": Alteration(Verdict.CROPPED, lambda photo, _, rng: _cropped(photo, 0.5, rng)),
    "flip": Alteration(Verdict.MIRRORED, lambda photo, _, __: ImageOps.mirror(photo)),
    "rotate 90": Alteration(Verdict.ROTATED, lambda photo, _, __: photo.transpose(Image.Transpose.ROTATE_90)),
    "watermark": Alteration(Verdict.OVERLAID, lambda photo, _, rng: with_watermark(photo, rng)),
    "darken": Alteration(Verdict.TONED, lambda photo, _, __: ImageEnhance.Brightness(photo).enhance(0.6)),
    "grey": Alteration(Verdict.TONED, lambda photo, _, __: ImageOps.grayscale(photo).convert("RGB")),
    "blur": Alteration(Verdict.TONED, lambda photo, _, __: photo.filter(ImageFilter.GaussianBlur(3))),
    "pad 25 %": Alteration(Verdict.PADDED, lambda photo, _, rng: _padded(photo, 0.25, rng)),
    "hue shift": Alteration(Verdict.RECOLOURED, lambda photo, _, rng: _hue_shifted(photo, rng)),
    "paste": Alteration(Verdict.EMBEDDED, _pasted),
}
