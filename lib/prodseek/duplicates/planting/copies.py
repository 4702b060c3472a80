"""Alterations that people make before they upload a photo again: copies whose truth is known, for fitting and measuring.

Every kind draws from wide random ranges. Equal random numbers give equal bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from PIL import Image, ImageEnhance

from prodseek.duplicates.planting import shapes, tones
from prodseek.duplicates.planting.files import Alter, Altered, encoded, opened
from prodseek.duplicates.planting.marks import MARKS, Box
from prodseek.duplicates.planting.screens import screenshot
from prodseek.duplicates.verdicts import Verdict


class Worse(StrEnum):
    """Why a copy is the one not to keep."""

    ADDED = "added"
    GREY = "grey"
    SMALLER = "smaller"
    UPSCALED = "upscaled"
    BLURRED = "blurred"
    COMPRESSED = "compressed"
    MIRRORED = "mirrored"
    CROPPED = "cropped"


@dataclass(frozen=True)
class Alteration:
    """A way to make a copy. verdict: the expected one, None if several are right. family: kinds that are left out together.

    worse: why the copy is not the one to keep, None if that cannot be known. alter: (photo, another photo, random numbers)
    -> the copy, or None if the photo does not suit.
    """

    verdict: Verdict | None
    family: str
    worse: Worse | None
    alter: Alter


@dataclass(frozen=True)
class Copy:
    """The file of a copy and what was done to it; fields as in Alteration and Altered."""

    data: bytes
    kind: str
    family: str
    verdict: Verdict | None
    worse: Worse | None
    source_box: Box | None


def altered(kind: str, photo: bytes, scene: Image.Image, rng: np.random.Generator) -> Copy | None:
    """A copy of a kind in ALTERATIONS, or "exact"; None if the photo does not suit the kind.

    photo: the original's file. scene: the photo that the original is pasted into, if the kind does that.
    """
    if kind == "exact":
        return Copy(photo, kind, kind, Verdict.IDENTICAL_BYTES, None, None)
    alteration = ALTERATIONS[kind]
    made = alteration.alter(opened(photo), scene.convert("RGB"), rng)
    if made is None:
        return None
    data = encoded(made.image, rng, made.encoding)
    worse, verdict = (None, None) if made.cuts_ground_alone else (alteration.worse, alteration.verdict)
    return Copy(data, kind, alteration.family, verdict, worse, made.source_box)


def _marked(name: str) -> Alter:
    return lambda photo, _, rng: Altered(MARKS[name](photo, rng))


def _screenshot(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered:
    return Altered(*screenshot(photo, rng))


def _combined(photo: Image.Image, scene: Image.Image, rng: np.random.Generator) -> Altered | None:
    """Two or three others, one after another; a paste comes last."""
    names = rng.choice(COMBINED, int(rng.integers(2, 4)), replace=False).tolist()
    out: Altered | None = Altered(photo)
    for name in sorted(names, key=lambda name: name in ("paste", "cut-out")):
        step = ALTERATIONS[name].alter(photo, scene, rng)
        if step is not None:
            photo, out = step.image.convert("RGB"), step
    return Altered(out.image, None, out.encoding) if out is not None else None


ALTERATIONS = {
    "jpeg": Alteration(Verdict.RE_ENCODED, "encoding", Worse.COMPRESSED, tones.jpeg_between(25, 80)),
    "jpeg 80-95": Alteration(Verdict.RE_ENCODED, "encoding", None, tones.jpeg_between(80, 95)),
    "jpeg 5-25": Alteration(Verdict.RE_ENCODED, "encoding", Worse.COMPRESSED, tones.jpeg_between(5, 25)),
    "webp": Alteration(Verdict.RE_ENCODED, "encoding", Worse.COMPRESSED, tones.webp),
    "palette": Alteration(Verdict.RE_ENCODED, "palette", None, tones.palette),
    "downscaled": Alteration(Verdict.RESIZED, "scale", Worse.SMALLER, shapes.scaled_between(0.25, 0.95)),
    "upscaled": Alteration(Verdict.RESIZED, "scale", Worse.UPSCALED, shapes.scaled_between(1.1, 2.5)),
    "stretched": Alteration(Verdict.RESIZED, "stretched", None, shapes.stretched),
    "cropped": Alteration(Verdict.CROPPED, "crop", Worse.CROPPED, shapes.cropped),
    "cropped to 16:9": Alteration(Verdict.CROPPED, "crop", Worse.CROPPED, shapes.cropped_to(16 / 9)),
    "cropped to 3:4": Alteration(Verdict.CROPPED, "crop", Worse.CROPPED, shapes.cropped_to(3 / 4)),
    "cropped to 1:1": Alteration(Verdict.CROPPED, "crop", Worse.CROPPED, shapes.cropped_to(1.0)),
    "margin": Alteration(Verdict.PADDED, "margin", Worse.ADDED, shapes.margin),
    "margin on some sides": Alteration(Verdict.PADDED, "margin", Worse.ADDED, shapes.margin_on_some_sides),
    "squared": Alteration(Verdict.PADDED, "margin", Worse.ADDED, shapes.squared),
    "another ground": Alteration(Verdict.OTHER_GROUND, "another ground", None, shapes.another_ground),
    "text": Alteration(Verdict.OVERLAID, "text", Worse.ADDED, _marked("text")),
    "watermark": Alteration(Verdict.OVERLAID, "watermark", Worse.ADDED, _marked("watermark")),
    "tiled watermark": Alteration(Verdict.OVERLAID, "watermark", Worse.ADDED, _marked("tiled watermark")),
    "badge": Alteration(Verdict.OVERLAID, "badge", Worse.ADDED, _marked("badge")),
    "ribbon": Alteration(Verdict.OVERLAID, "badge", Worse.ADDED, _marked("ribbon")),
    "banner": Alteration(Verdict.OVERLAID, "banner", Worse.ADDED, _marked("banner")),
    "frame": Alteration(Verdict.OVERLAID, "frame", Worse.ADDED, _marked("frame")),
    "screenshot": Alteration(Verdict.PADDED, "screenshot", Worse.ADDED, _screenshot),
    "grey": Alteration(Verdict.TONED, "grey", Worse.GREY, tones.grey),
    "sepia": Alteration(Verdict.TONED, "grey", None, tones.sepia),
    "brightness": Alteration(Verdict.TONED, "tone", None, tones.enhanced(ImageEnhance.Brightness, 0.55, 1.35)),
    "contrast": Alteration(Verdict.TONED, "tone", None, tones.enhanced(ImageEnhance.Contrast, 0.55, 1.5)),
    "gamma": Alteration(Verdict.TONED, "tone", None, tones.gamma),
    "saturation": Alteration(Verdict.TONED, "tone", None, tones.enhanced(ImageEnhance.Color, 0.3, 1.7)),
    "white balance": Alteration(Verdict.TONED, "tone", None, tones.white_balance),
    "blurred": Alteration(Verdict.TONED, "blur", Worse.BLURRED, tones.blurred),
    "sharpened": Alteration(Verdict.TONED, "sharpness", None, tones.sharpened),
    "noisy": Alteration(Verdict.RE_ENCODED, "noise", None, tones.noisy),
    "mirrored": Alteration(Verdict.MIRRORED, "mirrored", Worse.MIRRORED, shapes.mirrored),
    "rotated": Alteration(Verdict.ROTATED, "rotated", None, shapes.rotated),
    "tilted": Alteration(Verdict.ROTATED, "rotated", None, shapes.tilted),
    "paste": Alteration(Verdict.EMBEDDED, "paste", Worse.ADDED, shapes.paste),
    "cut-out": Alteration(Verdict.EMBEDDED, "paste", Worse.ADDED, shapes.cut_out),
    "combined": Alteration(None, "combined", None, _combined),
}
COMBINED = tuple(name for name in ALTERATIONS if name != "combined")
