"""Photos made for tests: things and scenes with detail of every size, and white cupboards that differ only in their fronts."""

import io
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage


def textured_photo(seed, width=320, height=280):
    rng = np.random.default_rng(seed)
    texture = ndimage.gaussian_filter(rng.normal(size=(height, width, 3)), (5, 5, 0))
    texture = 130 + 45 * texture / texture.std() + rng.uniform(-30, 30, 3)
    canvas = Image.new("RGB", (width, height), (250, 250, 250))
    mask = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(mask)
    for _ in range(4):
        x, y = rng.uniform(0.12, 0.45, 2) * (width, height)
        draw.rounded_rectangle(
            (x, y, x + rng.uniform(0.3, 0.45) * width, y + rng.uniform(0.3, 0.45) * height), 20, fill=255
        )
    canvas.paste(Image.fromarray(np.clip(texture, 0, 255).astype(np.uint8)), mask=mask)
    return canvas


def scene(seed, width=360, height=270, soft_px=0.5):
    """A photo with edges and detail of every size, which therefore looks alike at all scales; soft as a lens makes it."""
    return _drawn_scene(seed, width, height, soft_px).copy()


@cache
def _drawn_scene(seed, width, height, soft_px):
    """Discs of random colours that cover each other, as many of each size as have equal area together. Source: Lee, Mumford and
    Huang, "Occlusion Models for Natural Images", 2001.
    """
    rng = np.random.default_rng(seed)
    canvas = Image.new("RGB", (2 * width, 2 * height), (120, 120, 120))
    draw = ImageDraw.Draw(canvas)
    # Radii by the power law r ** -3, from a pixel to a third of the frame.
    smallest, largest = 2.0, 0.7 * width
    chance = rng.random(round(6000 * width * height / (360 * 270)))
    radii = (smallest**-2 - chance * (smallest**-2 - largest**-2)) ** -0.5
    for radius in radii.tolist():
        x, y = rng.uniform(0, (2 * width, 2 * height))
        # Small things differ in light more than in colour.
        colour = (rng.normal(125, 45) + rng.normal(0, 6 + 30 * min(1, radius / 60), 3)).clip(15, 235)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(colour.astype(int).tolist()))
    return canvas.filter(ImageFilter.GaussianBlur(2 * soft_px)).resize((width, height), Image.Resampling.BOX)


def packshot(
    seed, width=360, height=270, ground=(255, 255, 255), outline=((0.2, 0.15), (0.8, 0.2), (0.75, 0.88), (0.25, 0.8))
):
    """A thing with detail of every size on a plain ground. outline: its corners, in fractions of the frame."""
    canvas = Image.new("RGB", (width, height), ground)
    mask = Image.new("L", (3 * width, 3 * height), 0)
    ImageDraw.Draw(mask).polygon([(3 * width * x, 3 * height * y) for x, y in outline], fill=255)
    canvas.paste(scene(seed, width, height), mask=mask.resize((width, height), Image.Resampling.BOX))
    return canvas


def white_cupboard(n_columns, n_rows, handle="knob", colour=(236, 234, 230), size=(300, 360)):
    image = Image.new("RGB", size, (255, 255, 255))
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = 50, 30, size[0] - 50, size[1] - 30
    draw.rectangle((left, top, right, bottom), fill=colour, outline=(170, 170, 168), width=2)
    dark = tuple(int(0.75 * channel) for channel in colour)
    for column in range(n_columns):
        for row in range(n_rows):
            x1 = left + (right - left) * column / n_columns
            x2 = left + (right - left) * (column + 1) / n_columns
            y1 = top + (bottom - top) * row / n_rows
            y2 = top + (bottom - top) * (row + 1) / n_rows
            draw.rectangle((x1 + 5, y1 + 5, x2 - 5, y2 - 5), outline=dark, width=2)
            x, y = (x1 + x2) / 2, (y1 + y2) / 2
            if handle == "knob":
                draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=(90, 90, 90))
            else:
                draw.rectangle((x - 3, y - 25, x + 3, y + 25), fill=(90, 90, 90))
    return image


def thing_on_carpet(seed, outline, colour, tilt=0.0, moved_px=0):
    """A plain thing on a patterned carpet, photographed from above. outline: corners as fractions of the carpet."""
    rng = np.random.default_rng(seed)
    pattern = sum(ndimage.gaussian_filter(rng.normal(size=(400, 400, 3)), (s, s, 0)) * s for s in (1.5, 3, 8))
    carpet = Image.fromarray(np.clip(110 + 45 * pattern / pattern.std(), 0, 255).astype(np.uint8))
    ImageDraw.Draw(carpet).polygon([(400 * x, 400 * y) for x, y in outline], fill=colour)
    tilted = carpet.rotate(tilt, Image.Resampling.BICUBIC)
    return jpeg(tilted.crop((60 + moved_px, 60, 340 + moved_px, 340)))


def jpeg(image, quality=88):
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def pixels(image):
    return np.asarray(image.convert("RGB"))
