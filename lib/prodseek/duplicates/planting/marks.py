"""What shops lay on top of a photo or put around it: text, watermarks, badges, banners, frames, bars of a screen.

A mark is drawn from random numbers alone and in shares of the photo, so that equal seeds give the same mark on two photos.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]

LEAST_FONT_PX = 9.0
_WORDS = (
    "SALE", "NEW", "-30 %", "FREE SHIPPING", "only 19.99", "shop.example", "PREVIEW", "sample only", "© studio 4",
    "BEST PRICE", "100 % cotton", "100 x 150 cm", "Made in Portugal", "limited offer", "2 years warranty", "eco friendly",
    "size chart", "waterproof", "buy 2 get 1", "order today", "HIGH QUALITY", "www.things.example", "art. 4711-B", "in stock",
)  # fmt: skip


def random_colour(rng: np.random.Generator) -> Colour:
    """Any plain colour."""
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue


def plain_colour(rng: np.random.Generator) -> Colour:
    """A colour of margins: often white, sometimes black or grey, else any."""
    chance = rng.random()
    if chance < 0.55:
        return 255, 255, 255
    if chance < 0.75:
        grey = int(rng.choice([0, 128, 230, 240, 245, 250]))
        return grey, grey, grey
    return random_colour(rng)


def contrasting(colour: Colour, rng: np.random.Generator) -> Colour:
    """A colour that is easy to read on the given one."""
    light = float(np.dot(colour, (0.299, 0.587, 0.114)))
    for _ in range(20):
        other = random_colour(rng)
        if abs(float(np.dot(other, (0.299, 0.587, 0.114))) - light) > 90:
            return other
    return (0, 0, 0) if light > 128 else (255, 255, 255)


def words(rng: np.random.Generator, n_lines: int = 1) -> str:
    """Lines of text as shops write them."""
    return "\n".join(str(rng.choice(_WORDS)) for _ in range(n_lines))


def font(size_px: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, which is the same on every machine."""
    return ImageFont.load_default(max(LEAST_FONT_PX, size_px))


def fitting_font(text: str, width_px: float, size_px: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font at a size, or smaller if the text would be wider than width_px."""
    left, _, right, _ = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox((0, 0), text, font=font(size_px))
    return font(size_px * min(1.0, width_px / max(1.0, right - left)))


def with_text(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """One to six opaque lines of any size and colour at any place, half of the time on a plate."""
    out = photo.copy()
    draw = ImageDraw.Draw(out)
    longer = max(photo.size)
    size = float(np.exp(rng.uniform(np.log(0.02), np.log(0.13)))) * longer
    n_lines = int(rng.integers(1, 7))
    size = min(size, 0.5 * photo.height / (1.25 * n_lines))
    text = words(rng, n_lines)
    chosen = fitting_font(text, 0.9 * photo.width, size)
    left, top, right, bottom = draw.multiline_textbbox((0, 0), text, font=chosen)
    x = rng.uniform(0.01, 1) * max(1.0, photo.width - (right - left) - 4) - left
    y = rng.uniform(0.01, 1) * max(1.0, photo.height - (bottom - top) - 4) - top
    box = (x + left, y + top, x + right, y + bottom)
    if rng.random() < 0.5:
        plate = random_colour(rng)
        edge = 0.3 * size
        draw.rectangle((box[0] - edge, box[1] - edge, box[2] + edge, box[3] + edge), fill=plate)
        colour = contrasting(plate, rng)
    else:
        colour = contrasting(_mean_colour(photo, box), rng)
    align = str(rng.choice(["left", "center", "right"]))
    draw.multiline_text((x, y), text, fill=colour, font=chosen, align=align)
    return out


def with_watermark(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Half transparent words across the photo, level or rotated."""
    text = words(rng)
    width = photo.width * rng.uniform(0.35, 1.1)
    layer = _watermark_layer(photo.size, rng)
    chosen = fitting_font(text, width, 0.4 * photo.height)
    place = (photo.width * rng.uniform(0.35, 0.65), photo.height * rng.uniform(0.2, 0.8))
    _transparent_text(layer, [place], text, chosen, rng)
    layer = layer.rotate(float(rng.uniform(-45, 45)) * (rng.random() < 0.6), Image.Resampling.BICUBIC)
    return Image.alpha_composite(photo.convert("RGBA"), layer).convert("RGB")


def with_tiled_watermark(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The same half transparent words again and again over the whole photo."""
    text = words(rng)
    layer = _watermark_layer(photo.size, rng)
    size = rng.uniform(0.025, 0.06) * max(photo.size)
    step_x, step_y = size * (0.6 * len(text) + rng.uniform(1, 4)), size * rng.uniform(2, 6)
    reach = 2 * max(photo.size)
    places = [
        (column * step_x + (row % 2) * step_x / 2 - reach / 4, row * step_y - reach / 4)
        for row in range(round(reach / step_y))
        for column in range(round(reach / step_x))
    ]
    _transparent_text(layer, places, text, font(size), rng)
    layer = layer.rotate(float(rng.uniform(-45, 45)), Image.Resampling.BICUBIC)
    return Image.alpha_composite(photo.convert("RGBA"), layer).convert("RGB")


def with_badge(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A round badge, a star, a plate or a ring with a word, near one of the corners."""
    out = photo.copy()
    draw = ImageDraw.Draw(out)
    radius = min(photo.size) * float(rng.uniform(0.06, 0.18))
    x = radius * 1.1 if rng.random() < 0.5 else photo.width - 1.1 * radius
    y = radius * 1.1 if rng.random() < 0.5 else photo.height - 1.1 * radius
    colour, shape = random_colour(rng), str(rng.choice(["round", "star", "plate", "ring"]))
    box = (x - radius, y - radius, x + radius, y + radius)
    if shape == "round":
        draw.ellipse(box, fill=colour)
    elif shape == "ring":
        draw.ellipse(box, fill="white", outline=colour, width=max(2, round(radius / 8)))
        colour = (255, 255, 255)
    elif shape == "plate":
        draw.rounded_rectangle((x - radius, y - radius / 2, x + radius, y + radius / 2), radius / 5, fill=colour)
    else:
        angles = np.linspace(0, 2 * np.pi, 25)[:-1]
        reach = np.where(np.arange(24) % 2, 0.78, 1.0) * radius
        draw.polygon([(x + r * np.cos(t), y + r * np.sin(t)) for r, t in zip(reach, angles, strict=True)], fill=colour)
    text = words(rng)
    chosen = fitting_font(text, 1.5 * radius, 0.6 * radius)
    draw.text((x, y), text, fill=contrasting(colour, rng), font=chosen, anchor="mm")
    return out


def with_ribbon(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A triangle or a slanted ribbon with a word across one of the upper corners."""
    side = round(min(photo.size) * float(rng.uniform(0.2, 0.4)))
    tile = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(tile)
    colour = random_colour(rng)
    inner = 0.0 if rng.random() < 0.5 else side * float(rng.uniform(0.35, 0.6))
    draw.polygon([(0, side), (side, 0), (inner, 0), (0, inner)], fill=colour)
    text = words(rng)
    label = Image.new("RGBA", (side, side))
    centre = (side + inner) / 4 if inner else side / 3
    chosen = fitting_font(text, 0.8 * side, 0.18 * side)
    ImageDraw.Draw(label).text((centre, centre), text, fill=contrasting(colour, rng), font=chosen, anchor="mm")
    tile.alpha_composite(label.rotate(45, Image.Resampling.BICUBIC, center=(centre, centre)))
    right = rng.random() < 0.5
    out = photo.convert("RGBA")
    out.alpha_composite(tile if not right else _turned_to_right(tile), (photo.width - side if right else 0, 0))
    return out.convert("RGB")


def with_banner(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A bar with text over the whole width, opaque or half transparent, 10 to 35 % of the height."""
    layer = Image.new("RGBA", photo.size)
    draw = ImageDraw.Draw(layer)
    height = photo.height * float(rng.uniform(0.10, 0.35))
    top = (photo.height - height) * float(rng.choice([0.0, 1.0, rng.random()]))
    colour = random_colour(rng)
    opacity = 255 if rng.random() < 0.6 else int(rng.integers(110, 220))
    draw.rectangle((0, top, photo.width, top + height), fill=(*colour, opacity))
    n_lines = int(rng.integers(1, 3))
    text = words(rng, n_lines)
    chosen = fitting_font(text, 0.9 * photo.width, 0.7 * height / (1.25 * n_lines))
    draw.multiline_text(
        (photo.width / 2, top + height / 2), text, fill=contrasting(colour, rng), font=chosen, anchor="mm"
    )
    return Image.alpha_composite(photo.convert("RGBA"), layer).convert("RGB")


def with_frame(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A frame over the edges of the photo, of one line or two."""
    out = photo.copy()
    draw = ImageDraw.Draw(out)
    width = max(2, round(min(photo.size) * float(rng.uniform(0.01, 0.06))))
    draw.rectangle((0, 0, photo.width - 1, photo.height - 1), outline=random_colour(rng), width=width)
    if rng.random() < 0.4:
        inset = width + max(2, width // 2)
        box = (inset, inset, photo.width - 1 - inset, photo.height - 1 - inset)
        draw.rectangle(box, outline=random_colour(rng), width=max(1, width // 3))
    return out


MARKS: dict[str, Callable[[Image.Image, np.random.Generator], Image.Image]] = {
    "text": with_text,
    "watermark": with_watermark,
    "tiled watermark": with_tiled_watermark,
    "badge": with_badge,
    "ribbon": with_ribbon,
    "banner": with_banner,
    "frame": with_frame,
}


def _watermark_layer(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    grey = int(rng.choice([0, 60, 255, 255]))
    return Image.new("RGBA", size, (grey, grey, grey, 0))


def _transparent_text(
    layer: Image.Image,
    places: list[tuple[float, float]],
    text: str,
    chosen: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    rng: np.random.Generator,
) -> None:
    colour = random_colour(rng) if rng.random() < 0.3 else ((255,) * 3 if rng.random() < 0.5 else (40,) * 3)
    opacity = int(rng.integers(60, 200))
    other = tuple(255 - value for value in colour)
    draw = ImageDraw.Draw(layer)
    for place in places:
        draw.text(
            place,
            text,
            fill=(*colour, opacity),
            font=chosen,
            anchor="mm",
            stroke_width=1,
            stroke_fill=(*other, opacity // 2),
        )


def _turned_to_right(tile: Image.Image) -> Image.Image:
    return tile.transpose(Image.Transpose.ROTATE_270)


def _mean_colour(photo: Image.Image, box: Box) -> Colour:
    x1, y1, x2, y2 = (round(value) for value in box)
    part = photo.crop((max(0, x1), max(0, y1), min(photo.width, max(x2, x1 + 1)), min(photo.height, max(y2, y1 + 1))))
    red, green, blue = (int(value) for value in np.asarray(part.convert("RGB")).reshape(-1, 3).mean(axis=0))
    return red, green, blue
