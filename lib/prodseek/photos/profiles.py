"""Colour profiles: which one a photo has, and its colours as sRGB has them."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from prodseek.photos.repair import MAX_PROFILE_BYTES
from prodseek.storage.remembered import Remembered

_Space = Literal["RGB", "L", "CMYK"]
# ICC.1:2022, table 18: kinds of profiles that say what a device's colours are.
_DEVICE_CLASSES = (b"scnr", b"mntr", b"prtr", b"spac")
_SIGNATURES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
# A profile that moves no colour by more is sRGB: tables and rounding differ from maker to maker.
_SRGB_LEVELS = 2
# Below this difference of black and white a profile hides the photo.
_LEAST_CONTRAST_LEVELS = 64
_COLORANT_TOLERANCE = 0.01
_DAMAGED = (ImageCms.PyCMSError, OSError, ValueError, TypeError, ArithmeticError, LookupError)


class ColourProfile(StrEnum):
    """What a photo's colours were converted from (the closed list of `images.colour_profile`)."""

    NONE = "none"
    SRGB = "srgb"
    DISPLAY_P3 = "display_p3"
    ADOBE_RGB = "adobe_rgb"
    PROPHOTO_RGB = "prophoto_rgb"
    OTHER_RGB = "other_rgb"
    GREY = "grey"
    CMYK = "cmyk"
    UNUSABLE = "unusable"


# X, Y, Z of red, green and blue, adapted to D50: Apple's Display P3, Adobe RGB (1998) and ISO 22028-2 (ROMM RGB).
_COLORANTS = {
    ColourProfile.DISPLAY_P3: ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)),
    ColourProfile.ADOBE_RGB: ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)),
    ColourProfile.PROPHOTO_RGB: ((0.7977, 0.2880, 0.0000), (0.1352, 0.7119, 0.0000), (0.0313, 0.0001, 0.8249)),
}


@dataclass(frozen=True)
class _Conversion:
    """How colours of one kind become sRGB. transform, greys: neither where nothing is to be done.

    greys: (256,) uint8, the grey level of each level.
    """

    profile: ColourProfile
    transform: ImageCms.ImageCmsTransform | None = None
    greys: NDArray[np.uint8] | None = None

    @property
    def n_bytes(self) -> int:
        """About how much memory it takes: the tables of four inks have 23 steps each."""
        return 0 if self.transform is None else 2_000_000


# By the profile's hash. Photos of one catalogue have few profiles; one takes a thousandth of a second to prepare, one of inks
# ten times that.
_remembered: Remembered[tuple[bytes, _Space], _Conversion] = Remembered()
_MAX_REMEMBERED_BYTES = 40_000_000


def in_srgb(image: Image.Image, icc_profile: bytes | None) -> tuple[Image.Image, ColourProfile]:
    """A photo of 8 bits a channel in the colours of sRGB, and what they were converted from.

    Opacity stays. The photo comes back as it is where it has no profile, an sRGB profile or none that can be used. What
    sRGB cannot show is rendered as the profile's perceptual table says, and clipped where it has none; the darkest black
    of a press becomes black.
    """
    if not icc_profile:
        return image, ColourProfile.NONE
    space: _Space = "CMYK" if image.mode == "CMYK" else "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    if len(icc_profile) > MAX_PROFILE_BYTES:
        return image, ColourProfile.UNUSABLE
    key = hashlib.sha256(icc_profile).digest(), space
    conversion = _remembered.get(key, partial(_conversion, icc_profile, space), _MAX_REMEMBERED_BYTES)
    if conversion.transform is None and conversion.greys is None:
        return image, conversion.profile
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    colours = image.convert("RGBA").convert("RGB") if alpha is not None and space == "RGB" else image.convert(space)
    if conversion.greys is not None:
        converted = colours.point(conversion.greys.tolist())
    elif conversion.transform is not None:
        converted = conversion.transform.apply(colours)
    if alpha is not None:
        converted.putalpha(alpha)
    return converted, conversion.profile


def _conversion(icc_profile: bytes, space: _Space) -> _Conversion:
    own = _SIGNATURES.get(icc_profile[16:20])
    is_readable = icc_profile[36:40] == b"acsp" and icc_profile[12:16] in _DEVICE_CLASSES
    # A photo that was made grey may have kept the profile of its colours.
    fits = own == space or (own == "RGB" and space == "L")
    if own is None or not is_readable or not fits:
        return _Conversion(ColourProfile.UNUSABLE)
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
        transform = ImageCms.ImageCmsTransform(profile, _srgb(), own, "RGB", ImageCms.Intent.PERCEPTUAL)
        given, become = _probe(transform, own)
    except _DAMAGED:
        return _Conversion(ColourProfile.UNUSABLE)
    if int(become.max()) - int(become.min()) < _LEAST_CONTRAST_LEVELS:
        return _Conversion(ColourProfile.UNUSABLE)
    if own != "CMYK" and np.abs(given.astype(int) - become).max() <= _SRGB_LEVELS:
        return _Conversion(ColourProfile.SRGB)
    name = {"CMYK": ColourProfile.CMYK, "L": ColourProfile.GREY}.get(own) or _rgb_name(profile)
    return _Conversion(name, greys=_greys(transform, own)) if space == "L" else _Conversion(name, transform)


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _probe(transform: ImageCms.ImageCmsTransform, space: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Colours all over the space, (N, 1) or (N, channels) uint8, and what becomes of them, (N, 3) uint8."""
    n_channels = len(space)
    levels = range(0, 256, 51 if n_channels == 4 else 17) if n_channels > 1 else range(256)
    given = np.array(list(product(levels, repeat=n_channels)), np.uint8)
    image = Image.frombytes(space, (len(given), 1), given.tobytes())
    return given, np.asarray(transform.apply(image)).reshape(-1, 3)


def _greys(transform: ImageCms.ImageCmsTransform, space: str) -> NDArray[np.uint8]:
    """What becomes of each grey level, (256,) uint8; a neutral grey stays neutral."""
    ramp = Image.frombytes("L", (256, 1), bytes(range(256))).convert(space)
    levels: NDArray[np.float64] = np.asarray(transform.apply(ramp)).reshape(256, 3).mean(axis=1)
    return np.rint(levels).astype(np.uint8)


def _rgb_name(profile: ImageCms.ImageCmsProfile) -> ColourProfile:
    stored = profile.profile
    colorants = (stored.red_colorant, stored.green_colorant, stored.blue_colorant)
    found = np.array([colorant[0] for colorant in colorants if colorant is not None])
    if len(found) < len(colorants):
        return ColourProfile.OTHER_RGB
    for name, known in _COLORANTS.items():
        if np.abs(found - np.array(known)).max() <= _COLORANT_TOLERANCE:
            return name
    return ColourProfile.OTHER_RGB
