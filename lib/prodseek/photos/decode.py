"""Decode a product photo: bytes in; upright RGB pixels out, or the reason why not."""

from __future__ import annotations

import hashlib
import io
import re
import struct
import warnings
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError, features

from prodseek.photos.flatten import eight_bits, rgb_and_alpha
from prodseek.photos.profiles import ColourProfile, in_srgb
from prodseek.photos.repair import Repaired, with_end, without_metadata

# Raise it when `decode_image`, `pixel_hash` or the PDQ hash changes its result for the same bytes.
DECODER_VERSION = 6
# Raise it when `decode_image` gives other pixels for the same bytes: all that is kept for ever of a photo's pixels (regions,
# local features, verdicts, looks, pictures) is then made again.
PIXELS_VERSION = 5
_DECODER_PACKAGES = ("pillow", "pillow-heif")
# The same version of Pillow may be built with other versions of these.
_DECODER_LIBRARIES = ("libjpeg_turbo", "jpg", "webp", "avif", "libtiff", "littlecms2")
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF")
# Those that browsers play. What else files hold besides a photo, such as previews and gain maps, nobody sees.
_MOVING_FORMATS = ("PNG", "WEBP", "GIF", "AVIF")

# ISO/IEC 23008-12 and the AVIF specification: kinds of containers that hold a still picture or a burst.
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis")
_T = Image.Transpose
# EXIF 2.32, table 6: the transpose that each Orientation asks for.
_UPRIGHT = {
    2: _T.FLIP_LEFT_RIGHT,
    3: _T.ROTATE_180,
    4: _T.FLIP_TOP_BOTTOM,
    5: _T.TRANSPOSE,
    6: _T.ROTATE_270,
    7: _T.TRANSVERSE,
    8: _T.ROTATE_90,
}


# Errors that Pillow's decoders raise on damaged data.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    struct.error,
)
# Encoders write about ten scans. The decoder passes over the whole photo for each, even for a scan of nine bytes.
_MAX_SCANS = 256
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


class RejectReason(StrEnum):
    """Why an input row was rejected (the closed list of `rejects.reason`)."""

    INVALID_ROW = "invalid_row"
    DUPLICATE_ROW = "duplicate_row"
    UNSUPPORTED_URI = "unsupported_uri"
    NOT_ALLOWED = "not_allowed"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    EMPTY = "empty"
    TOO_MANY_BYTES = "too_many_bytes"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    TOO_SMALL = "too_small"
    TOO_MANY_PIXELS = "too_many_pixels"
    CHANGED = "changed"
    CRASHED = "crashed"


class ImageRejected(Exception):  # noqa: N818
    """A photo that cannot be used; `reason` is from the closed list, `detail` is for a person."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class ImageLimits:
    """Limits that a photo must keep. They are checked before any pixel is decoded."""

    max_bytes: int = 64 * 1024 * 1024
    max_pixels: int = 100_000_000
    min_side_px: int = 16


@dataclass(frozen=True)
class DecodedImage:
    """An upright photo.

    pixels: (H, W, 3) uint8 sRGB, EXIF orientation applied, transparency on white, or on grey or black where white would hide a
    part of what is drawn; smaller than the photo if `max_side_px` or `enough_side_px` was given. width_px, height_px: the
    upright photo at full size. format: as Pillow names it. alpha: (H, W) uint8 opacity; None for an opaque photo. taken_at: when
    it was taken, by its EXIF, as `2026-05-31 14:03:59`; None if not known. colour_profile: what the pixels were converted from.
    moving_id: the content id of a photo that moves, whose first frame this is.
    """

    pixels: NDArray[np.uint8]
    width_px: int
    height_px: int
    format: str
    alpha: NDArray[np.uint8] | None = None
    taken_at: str | None = None
    colour_profile: ColourProfile = ColourProfile.NONE
    moving_id: str | None = None


def decoder() -> dict[str, str]:
    """Everything that decides how bytes become pixels and hashes: name -> version.

    A photo that was decoded by an equal decoder need not be decoded again.
    """
    built_with = {name: features.version(name) or "none" for name in _DECODER_LIBRARIES}
    return {
        "decode_image": str(DECODER_VERSION),
        **{name: version(name) for name in _DECODER_PACKAGES},
        **built_with,
    }


def content_id(data: bytes) -> str:
    """The `image_id`: SHA-256 of a photo's bytes, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def check_size(n_bytes: int, limits: ImageLimits) -> None:
    """Raise ImageRejected for an empty file and for one that is too large."""
    if not n_bytes:
        raise ImageRejected(RejectReason.EMPTY, "0 bytes")
    if n_bytes > limits.max_bytes:
        raise ImageRejected(RejectReason.TOO_MANY_BYTES, f"{n_bytes} bytes, at most {limits.max_bytes} are read")


def decode_image(
    data: bytes,
    limits: ImageLimits = ImageLimits(),
    max_side_px: int | None = None,
    enough_side_px: int | None = None,
) -> DecodedImage:
    """Decode a photo (its first frame) to upright sRGB.

    Metadata decides over no photo: where it cannot be read, the photo is read without it, as a browser does. So is a JPEG
    that lacks its end and no pixel.

    max_side_px: shrink the photo so that its longer side is at most this. JPEGs are then decoded at a reduced DCT scale,
    which is several times faster for large photos. enough_side_px: decode a JPEG at the smallest DCT scale that keeps its
    longer side at least this long, and do not shrink further, because the caller will. Raises ImageRejected.
    """
    check_size(len(data), limits)
    try:
        with warnings.catch_warnings():
            # Pillow warns about large images, for which we have our own limit, and about every odd tag.
            warnings.simplefilter("ignore")
            return _decoded(data, limits, max_side_px, enough_side_px)
    except Image.DecompressionBombError as error:
        raise ImageRejected(RejectReason.TOO_MANY_PIXELS, str(error)) from error
    except UnidentifiedImageError as error:
        raise _unknown(data) from error
    except _DAMAGED as error:
        reason = RejectReason.TRUNCATED if _says_truncated(error) else RejectReason.CORRUPT
        raise ImageRejected(reason, str(error) or type(error).__name__) from error
    except MemoryError as error:
        raise ImageRejected(RejectReason.TOO_MANY_PIXELS, "not enough memory to decode it") from error


def _decoded(data: bytes, limits: ImageLimits, max_side_px: int | None, enough_side_px: int | None) -> DecodedImage:
    """The photo as it is; where that fails without its metadata, and where it lacks its end with one."""

    def decoded(photo: Repaired) -> DecodedImage:
        _check_header(image := _open(photo.data), limits)
        icc_profile = photo.icc_profile or image.info.get("icc_profile")
        upright = _load_upright(image, icc_profile, max_side_px, enough_side_px)
        return replace(upright, moving_id=content_id(photo.data)) if _moves(image) else upright

    try:
        return decoded(Repaired(data))
    except _DAMAGED as error:
        if _is_cut_jpeg(data, error):
            return decoded(_whole(data))
        bare = without_metadata(data)
        if bare is None:
            raise
    try:
        return decoded(bare)
    except _DAMAGED as error:
        if not _is_cut_jpeg(bare.data, error):
            raise
        return decoded(_whole(bare.data))


def _whole(jpeg: bytes) -> Repaired:
    """A JPEG that lacks its end, with it. Raises ImageRejected if it lacks pixels as well."""
    repaired = with_end(jpeg)
    if repaired is None:
        raise ImageRejected(RejectReason.TRUNCATED, "the file ends before its last pixel")
    return repaired


def _open(data: bytes) -> Image.Image:
    if data[4:8] == b"ftyp":  # HEIC's container
        # Imported here, because a machine that only measures the network may not have it.
        import pillow_heif

        pillow_heif.register_heif_opener()
    Image.init()
    # No other format's reader sees the data.
    image = Image.open(io.BytesIO(data), formats=[name for name in FORMATS if name in Image.OPEN])
    if image.format in ("JPEG", "MPO") and _has_too_many_scans(data):
        raise ImageRejected(RejectReason.CORRUPT, f"a JPEG of more than {_MAX_SCANS} scans, which would take hours")
    return image


def begins_like_photo(head: bytes) -> bool:
    """Whether a file may be a photo of one of FORMATS. head: its first 16 bytes or more."""
    if head[4:8] == b"ftyp":
        return head[8:12] in _HEIF_BRANDS
    Image.init()
    return any(name in Image.OPEN and _is_accepted(name, head) for name in FORMATS)


def _is_accepted(name: str, head: bytes) -> bool:
    _, accepts = Image.OPEN[name]
    return accepts is not None and accepts(head[:16].ljust(16, b"\0")) is True


def _unknown(data: bytes) -> ImageRejected:
    """Why data in which Pillow finds none of FORMATS is no photo."""
    for name in Image.OPEN:
        if name not in FORMATS and _is_accepted(name, data):
            return ImageRejected(RejectReason.UNSUPPORTED_FORMAT, f"{name}; supported are {', '.join(FORMATS)}")
    head = data[:64].lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml", b"<svg", b"{")):
        detail = f"the file holds text, it begins with {head[:24].decode('latin-1')!r}"
    else:
        detail = f"no known image format, it begins with the bytes {data[:8].hex(' ')}"
    return ImageRejected(RejectReason.NOT_AN_IMAGE, detail)


def _has_too_many_scans(jpeg: bytes) -> bool:
    """Whether the first picture of the file has more than _MAX_SCANS scans."""
    n_scans, at = 0, 2
    while marker := _JPEG_MARKER.search(jpeg, at):
        at = marker.end()
        kind = jpeg[at - 1]
        if kind == 0xD9:  # end of image
            return False
        n_scans += kind == 0xDA
        if n_scans > _MAX_SCANS:
            return True
        if kind not in (0x01, 0xD8):  # these two have no payload
            at += int.from_bytes(jpeg[at : at + 2], "big")
    return False


def _check_header(image: Image.Image, limits: ImageLimits) -> None:
    width_px, height_px = image.size
    if width_px * height_px > limits.max_pixels:
        raise ImageRejected(
            RejectReason.TOO_MANY_PIXELS,
            f"{width_px} x {height_px} px, at most {limits.max_pixels} pixels are decoded",
        )
    if min(width_px, height_px) < limits.min_side_px:
        raise ImageRejected(
            RejectReason.TOO_SMALL,
            f"{width_px} x {height_px} px, the shorter side must have {limits.min_side_px} px or more",
        )


def _load_upright(
    image: Image.Image, icc_profile: bytes | None, max_side_px: int | None, enough_side_px: int | None
) -> DecodedImage:
    full_size = image.size
    shrunk_size = full_size
    if max_side_px is not None and max(full_size) > max_side_px:
        scale = max_side_px / max(full_size)
        shrunk_size = (max(1, round(full_size[0] * scale)), max(1, round(full_size[1] * scale)))
        image.draft(None, shrunk_size)
    elif enough_side_px is not None and max(full_size) > enough_side_px:
        # Whatever the shape of the photo, its longer side decides.
        image.draft(None, (enough_side_px, 1) if full_size[0] >= full_size[1] else (1, enough_side_px))
        shrunk_size = image.size
    image.load()
    method = _upright_by(image)

    def upright(layer: Image.Image) -> NDArray[np.uint8]:
        if layer.size != shrunk_size:
            layer = layer.resize(shrunk_size, Image.Resampling.BOX)
        return np.asarray(layer if method is None else layer.transpose(method))

    coloured, colour_profile = in_srgb(eight_bits(image), icc_profile)
    rgb, alpha = rgb_and_alpha(coloured)
    is_swapped = method not in (None, _T.FLIP_LEFT_RIGHT, _T.ROTATE_180, _T.FLIP_TOP_BOTTOM)
    width_px, height_px = full_size[::-1] if is_swapped else full_size
    return DecodedImage(
        pixels=upright(rgb),
        width_px=width_px,
        height_px=height_px,
        format=str(image.format),
        alpha=None if alpha is None else upright(alpha),
        taken_at=_taken_at(image),
        colour_profile=colour_profile,
    )


def _upright_by(image: Image.Image) -> Image.Transpose | None:
    """How the photo is to be turned. One whose EXIF cannot be read stays as it is stored."""
    try:
        return _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except _DAMAGED:
        return None


def _moves(image: Image.Image) -> bool:
    """Whether frames follow the first. Those that cannot be read are none."""
    try:
        return image.format in _MOVING_FORMATS and bool(getattr(image, "is_animated", False))
    except _DAMAGED:
        return False


def _taken_at(image: Image.Image) -> str | None:
    """EXIF 2.32, DateTimeOriginal. A date that cannot be read is no fault of the photo."""
    try:
        taken = image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal)
        return datetime.strptime(taken[:19], "%Y:%m:%d %H:%M:%S").isoformat(" ") if isinstance(taken, str) else None
    except _DAMAGED:
        return None


def _says_truncated(error: Exception) -> bool:
    return any(word in str(error).lower() for word in ("truncated", "unexpected end", "premature end", "eof"))


def _is_cut_jpeg(data: bytes, error: Exception) -> bool:
    return data.startswith(b"\xff\xd8") and _says_truncated(error)
