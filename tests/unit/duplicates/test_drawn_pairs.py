"""Drawn pairs that people have sent to tools like this one, judged by the shipped model: which merge, and which are kept."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from drawn_things import banded, logo, on_margin, png, printed, thing
from judged_pair import judged_pair
from made_photos import scene
from PIL import Image

from prodseek.duplicates.better import Better
from prodseek.duplicates.verdicts import Decision, Judgement, Verdict


def on_thing(image: Image.Image, change: np.ndarray) -> Image.Image:
    """Grey levels added to the thing, not to the ground. change: (H, W) or (H, W, 3)."""
    pixels = np.asarray(image).astype(np.float64)
    is_thing = (pixels.sum(axis=2) < 700)[..., None]
    levels = change if change.ndim == 3 else change[..., None]
    return Image.fromarray(np.clip(pixels + is_thing * levels, 0, 255).astype(np.uint8))


def ribbed(image: Image.Image, pitch_px: float) -> Image.Image:
    x = np.arange(image.width) / pitch_px
    return on_thing(image, np.broadcast_to(14 * np.sin(2 * np.pi * x), (image.height, image.width)))


def mottled(seed: int, image: Image.Image) -> Image.Image:
    noise = np.random.default_rng(seed).normal(size=(image.height // 4, image.width // 4))
    large = np.asarray(Image.fromarray(noise.astype(np.float32)).resize(image.size, Image.Resampling.BICUBIC))
    return on_thing(image, 12 * large)


def cloth(seed: int, tint: tuple[float, float, float]) -> Image.Image:
    """A woven cloth that fills the frame, dyed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:500, :500]
    weave = 170 + 25 * np.sin(x / 7) + 25 * np.sin(y / 9 + seed) + rng.normal(0, 6, (500, 500))
    return Image.fromarray(np.clip(weave[..., None] * np.array(tint), 0, 255).astype(np.uint8))


def set_of_two(seed: int, other: int) -> Image.Image:
    canvas = Image.new("RGB", (1000, 500), (250, 250, 248))
    canvas.paste(thing(seed, (500, 500)), (0, 0))
    canvas.paste(thing(other, (500, 500)), (500, 0))
    return canvas


def tiled(photo: Image.Image, n_rows: int) -> Image.Image:
    canvas = Image.new("RGB", (4 * photo.width, n_rows * photo.height))
    for number in range(4 * n_rows):
        canvas.paste(photo, (number % 4 * photo.width, number // 4 * photo.height))
    return canvas


def hue_shifted(image: Image.Image, degrees: int) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    shift = round(degrees * 256 / 360)
    return Image.merge("HSV", (hue.point([(v + shift) % 256 for v in range(256)]), saturation, value)).convert("RGB")


SEEDS = (22, 5, 31)
VARIANTS = {
    "another size in print, large": lambda seed: (
        printed(seed, "Length 100 cm", 28),
        printed(seed, "Length 150 cm", 28),
    ),
    "another size in print, small": lambda seed: (
        printed(seed, "Length 100 cm", 10),
        printed(seed, "Length 150 cm", 10),
    ),
    "a part in another colour": lambda seed: (thing(seed), banded(thing(seed))),
    "a cloth in another colour": lambda seed: (cloth(seed, (1, 0.5, 0.5)), cloth(seed, (0.5, 0.6, 1))),
    "a cloth in a darker shade": lambda seed: (cloth(seed, (1, 0.5, 0.5)), cloth(seed, (0.7, 0.35, 0.35))),
    "all in another hue": lambda seed: (thing(seed), hue_shifted(thing(seed), 60)),
    "one against a set of two": lambda seed: (thing(seed, (500, 500)), set_of_two(seed, seed + 50)),
    "one against two of it": lambda seed: (thing(seed, (500, 500)), set_of_two(seed, seed)),
    "eight against twelve": lambda seed: (tiled(scene(seed, 200, 180), 2), tiled(scene(seed, 200, 180), 3)),
    "fine ribs on one": lambda seed: (thing(seed), ribbed(thing(seed), 5)),
    "wide ribs on one": lambda seed: (thing(seed), ribbed(thing(seed), 14)),
    "a mottled cloth": lambda seed: (thing(seed), mottled(seed, thing(seed))),
    "the next shade": lambda seed: (thing(seed), on_thing(thing(seed), np.full((600, 600, 3), (10.0, 0.0, -10.0)))),
    "a print with hardly any contrast": lambda seed: (thing(seed, (1000, 1000)), printed(seed, "Limited", 40, ink=228)),
    "white on nothing": lambda _: (logo(is_cross=False), logo(is_cross=True)),
    "another thing": lambda seed: (thing(seed), thing(seed + 100)),
}
COPIES = {
    "wide margin": (lambda image: on_margin(image, (250, 250, 248)), Verdict.PADDED),
    "wide blue margin": (lambda image: on_margin(image, (30, 60, 160)), Verdict.PADDED),
    "enlarged": (lambda image: image.resize((1200, 1200), Image.Resampling.LANCZOS), Verdict.RESIZED),
    "shrunk": (lambda image: image.resize((480, 480), Image.Resampling.LANCZOS), Verdict.RESIZED),
    "shrunk to a thumbnail": (lambda image: image.resize((300, 300), Image.Resampling.LANCZOS), Verdict.RESIZED),
    "grey": (lambda image: image.convert("L").convert("RGB"), Verdict.TONED),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", VARIANTS)
def test_what_is_not_one_photo_is_no_copy(name: str, seed: int) -> None:
    a, b = VARIANTS[name](seed)
    judgement, _ = judged_pair(png(a), png(b))
    assert judgement is None or judgement.decision != Decision.COPY


@cache
def judged_copy(name: str, seed: int) -> tuple[Judgement | None, Better | None]:
    original = thing(seed)
    return judged_pair(png(original), png(COPIES[name][0](original)))


@pytest.mark.parametrize("name", COPIES)
def test_most_copies_are_safe_to_act_on(name: str) -> None:
    decisions = [judgement.decision for judgement, _ in (judged_copy(name, seed) for seed in SEEDS) if judgement]
    least = {"shrunk to a thumbnail": 1}.get(name, 2)
    assert decisions.count(Decision.COPY) >= least, "small photos must be surer, others are nearly all copies"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_found_and_the_original_is_kept(name: str, seed: int) -> None:
    verdict = COPIES[name][1]
    judgement, better = judged_copy(name, seed)
    assert judgement is not None and judgement.verdict == verdict and judgement.decision != Decision.VARIANT
    assert judgement.confidence > 0.9
    assert better is not None
    if verdict == Verdict.RESIZED:
        assert better.finer < 0
    elif verdict == Verdict.PADDED:
        assert better.added_side == "b" and better.cleaner == 0, "equal pixels do not tell which were there first"
    else:
        assert better.grey_side == "b"
