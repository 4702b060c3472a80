"""What a browser shows is read: metadata decides over no photo, and an end that is missing only where no pixel is."""

from __future__ import annotations

import io
import random
import struct
import zlib

import numpy as np
import pillow_heif
import pytest
from icc_profiles import rgb_profile
from made_photos import scene
from PIL import ExifTags, Image, PngImagePlugin

from prodseek.photos.decode import ImageLimits, ImageRejected, RejectReason, decode_image
from prodseek.photos.profiles import ColourProfile
from prodseek.photos.repair import with_end, without_metadata

PICTURE = scene(1, 120, 90)
NO_TIFF = b"\x00\x08\x00\x02\x01\x12\x00\x03"


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return exif.tobytes()


JPEG, PNG, WEBP = (encoded(PICTURE, format) for format in ("JPEG", "PNG", "WEBP"))
BARE_JPEG = JPEG[:2] + JPEG[20:]  # without JFIF
P3 = rgb_profile("display_p3")


def segment(kind: int, content: bytes) -> bytes:
    return bytes((0xFF, kind)) + struct.pack(">H", len(content) + 2) + content


def with_segment(kind: int, content: bytes, jpeg: bytes = JPEG) -> bytes:
    return jpeg[:2] + segment(kind, content) + jpeg[2:]


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunk(kind: bytes, content: bytes, png: bytes = PNG) -> bytes:
    return png[:33] + chunk(kind, content) + png[33:]


def with_text(is_packed: bool, n_bytes: int = 1_200_000) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "x" * n_bytes, zip=is_packed)
    return encoded(PICTURE, "PNG", pnginfo=info)


EXTENDED_XMP = b"".join(segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"x" * 60_000) for _ in range(20))

JPEGS = {
    "EXIF without TIFF": with_segment(0xE1, b"Exif\0\0" + NO_TIFF),
    "EXIF without TIFF and a density": with_segment(
        0xE1, b"Exif\0\0" + NO_TIFF, encoded(PICTURE, "JPEG", dpi=(72, 72))
    ),
    "EXIF of nothing": with_segment(0xE1, b"Exif\0\0"),
    "EXIF cut off": with_segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff", BARE_JPEG),
    "XMP of a mebibyte": JPEG[:2] + EXTENDED_XMP + JPEG[2:],
    "short JFIF": with_segment(0xE0, b"JFIF\0", BARE_JPEG),
    "JFIF without density": with_segment(0xE0, b"JFIF\0\1\1", BARE_JPEG),
    "short Adobe": with_segment(0xEE, b"Adobe"),
    "Adobe without transform": with_segment(0xEE, b"Adobe\0\x64\0\0\0\0"),
    "Photoshop cut off": with_segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed"),
    "Photoshop of two bytes": with_segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\0\0\0\2ab"),
    "profile without a number": with_segment(0xE2, b"ICC_PROFILE\0"),
    "part of a profile": with_segment(0xE2, b"ICC_PROFILE\0\1\3abc"),
    "more pictures than there are": with_segment(0xE2, b"MPF\0II*\0\x08\0\0\0\1\0\2\xb0\3\0" + b"\xff" * 8),
    "segment of no length": JPEG[:2] + b"\xff\xe5\0\0" + JPEG[2:],
    "comment of markers": with_segment(0xFE, b"\xff\xd9\xff\xd8"),
}
PNGS = {
    "EXIF without TIFF": with_chunk(b"eXIf", NO_TIFF),
    "EXIF of nothing": with_chunk(b"eXIf", b""),
    "XMP of a mebibyte": with_text(is_packed=True),
    "XMP of a mebibyte, not packed": with_text(is_packed=False),
    "text of unknown method": with_chunk(b"zTXt", b"Comment\0\x07abc"),
    "international text of unknown method": with_chunk(b"iTXt", b"XML\0\1\x07en\0\0abc"),
    "text of another sum": PNG[:33] + chunk(b"tEXt", b"a\0b")[:-4] + b"none" + PNG[33:],
    "profile without a name": with_chunk(b"iCCP", b"x"),
    "profile of unknown method": with_chunk(b"iCCP", b"x\0\7abc"),
    "profile not packed": with_chunk(b"iCCP", b"x\0\0abc"),
    "profile of many mebibytes": with_chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(20_000_000))),
    "short density": with_chunk(b"pHYs", b"ab"),
    "short gamma": with_chunk(b"gAMA", b""),
    "short chromaticities": with_chunk(b"cHRM", b"abc"),
    "short intent": with_chunk(b"sRGB", b""),
    "short transparency": with_chunk(b"tRNS", b"a"),
    "short animation": with_chunk(b"acTL", b"abc"),
    "short frame": with_chunk(b"fcTL", b"abc"),
    "text of unknown method behind the pixels": PNG[:-12] + chunk(b"zTXt", b"Comment\0\x07abc") + PNG[-12:],
    "EXIF without TIFF behind the pixels": PNG[:-12] + chunk(b"eXIf", NO_TIFF) + PNG[-12:],
    "XMP of a mebibyte behind the pixels": PNG[:-12]
    + chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(1_200_000)))
    + PNG[-12:],
    "unknown chunk": with_chunk(b"abCd", b"x"),
}
WEBPS = {
    "EXIF without TIFF": encoded(PICTURE, "WEBP", exif=NO_TIFF),
    "XMP of a mebibyte": encoded(PICTURE, "WEBP", xmp=b"x" * 1_200_000),
    "profile of a mebibyte": encoded(PICTURE, "WEBP", icc_profile=b"x" * 1_200_000),
    "XMP cut off": encoded(PICTURE, "WEBP", xmp=b"x" * 100)[:-20],
    "size too small": WEBP[:4] + struct.pack("<I", 12) + WEBP[8:],
    "size too large": WEBP[:4] + struct.pack("<I", len(WEBP) + 90) + WEBP[8:],
}


@pytest.mark.parametrize("what", JPEGS)
def test_metadata_decides_over_no_jpeg(what: str) -> None:
    assert (decode_image(JPEGS[what]).pixels == decode_image(JPEG).pixels).all()


@pytest.mark.parametrize("what", PNGS)
def test_metadata_decides_over_no_png(what: str) -> None:
    assert (decode_image(PNGS[what]).pixels == np.asarray(PICTURE)).all()


@pytest.mark.parametrize("what", WEBPS)
def test_metadata_decides_over_no_webp(what: str) -> None:
    assert (decode_image(WEBPS[what]).pixels == decode_image(WEBP).pixels).all()


@pytest.mark.parametrize("damage", [NO_TIFF, bytes(8), b"MM\0*\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff\xff\xff"])
@pytest.mark.parametrize("format", ["HEIF", "AVIF"])
def test_metadata_decides_over_no_other_photo(format: str, damage: bytes) -> None:
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "a maker of cameras"
    data = encoded(PICTURE, format, exif=exif.tobytes())
    at = data.index(b"MM\0*")
    damaged = data[:at] + damage + data[at + len(damage) :]
    assert (decode_image(damaged).pixels == decode_image(data).pixels).all()


@pytest.mark.parametrize(
    "data",
    [
        with_segment(0xEE, b"Adobe", encoded(PICTURE, "JPEG", exif=turned())),
        with_chunk(b"zTXt", b"Comment\0\x07abc", encoded(PICTURE, "PNG", exif=turned())),
        encoded(PICTURE, "WEBP", exif=turned(), xmp=b"x" * 100)[:-20],
    ],
)
def test_exif_that_can_be_read_turns_a_photo_whose_other_metadata_cannot(data: bytes) -> None:
    assert decode_image(data).pixels.shape == (120, 90, 3)


@pytest.mark.parametrize(
    "data",
    [
        with_segment(0xEE, b"Adobe", encoded(PICTURE, "JPEG", icc_profile=P3)),
        with_segment(0xEE, b"Adobe", encoded(PICTURE, "JPEG", icc_profile=P3 + bytes(1_500_000))),
        with_chunk(b"zTXt", b"Comment\0\x07abc", encoded(PICTURE, "PNG", icc_profile=P3)),
        with_chunk(b"iCCP", b"x\0\0" + zlib.compress(P3 + bytes(1_500_000))),
        encoded(PICTURE, "WEBP", icc_profile=P3 + bytes(1_500_000)),
        encoded(PICTURE, "WEBP", icc_profile=P3, xmp=b"x" * 100)[:-20],
    ],
)
def test_the_profile_of_a_photo_whose_other_metadata_cannot_be_read_counts(data: bytes) -> None:
    assert decode_image(data).colour_profile == ColourProfile.DISPLAY_P3


def test_transparency_stays_where_metadata_cannot_be_read() -> None:
    layered = PICTURE.convert("RGBA")
    layered.putalpha(90)
    for data in (
        with_chunk(b"zTXt", b"Comment\0\x07abc", encoded(layered, "PNG")),
        with_chunk(b"zTXt", b"Comment\0\x07abc", encoded(PICTURE.quantize(8), "PNG", transparency=3)),
        encoded(layered, "WEBP", lossless=True, xmp=b"x" * 100)[:-20],
    ):
        assert decode_image(data).alpha is not None


def test_limits_hold_for_photos_that_are_repaired() -> None:
    wide = with_segment(0xEE, b"Adobe", encoded(Image.new("L", (3000, 2000)), "JPEG"))
    for data in (wide, wide[:-2]):
        with pytest.raises(ImageRejected) as rejected:
            decode_image(data, ImageLimits(max_pixels=1_000_000))
        assert rejected.value.reason == RejectReason.TOO_MANY_PIXELS
    scan = JPEG[JPEG.index(b"\xff\xda") : -2]
    endless = with_segment(0xEE, b"Adobe", JPEG[:-2] + scan * 300 + b"\xff\xd9")
    with pytest.raises(ImageRejected, match="of more than 256 scans"):
        decode_image(endless)


def test_what_has_damaged_metadata_and_lost_pixels_is_truncated() -> None:
    for data in (with_segment(0xEE, b"Adobe")[:-300], with_segment(0xE0, b"JFIF\0", BARE_JPEG)[:-300]):
        with pytest.raises(ImageRejected) as rejected:
            decode_image(data)
        assert rejected.value.reason == RejectReason.TRUNCATED


KINDS = {
    "baseline": {"quality": 90},
    "full chroma": {"quality": 95, "subsampling": 0},
    "half chroma": {"quality": 80, "subsampling": 1},
    "optimized": {"quality": 75, "optimize": True},
    "progressive": {"quality": 90, "progressive": True},
    "restarts by row": {"quality": 90, "restart_marker_rows": 1},
    "restarts by block": {"quality": 90, "restart_marker_blocks": 3},
    "progressive restarts": {"quality": 85, "progressive": True, "restart_marker_rows": 1},
}


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_without_its_end_is_read_only_where_no_pixel_is_lost(kind: str, mode: str) -> None:
    dice = random.Random(f"{kind} {mode}")
    for seed in range(4):
        size = dice.randrange(40, 130), dice.randrange(40, 130)
        picture = scene(seed, *size)
        if seed % 2:  # the ground of a packshot, on which damage hides
            picture.paste((255, 255, 255), (0, size[1] // 2, *size))
        data = encoded(picture.convert(mode), "JPEG", **KINDS[kind])
        whole = decode_image(data).pixels
        for n_lost in (1, 2):
            assert (decode_image(data[:-n_lost]).pixels == whole).all()
        scans = [
            at for at in range(len(data)) if data[at : at + 2] in (b"\xff\xda", b"\xff\xc4", b"\xff\xd0", b"\xff\xd1")
        ]
        ends = [len(data) - n for n in range(3, 60)] + [at + n for at in scans for n in (0, 1, 2, 5, 12)]
        for end in [*ends, *(dice.randrange(2, len(data)) for _ in range(20))]:
            try:
                image = decode_image(data[:end])
            except ImageRejected as rejected:
                assert rejected.reason in (RejectReason.TRUNCATED, RejectReason.CORRUPT, RejectReason.NOT_AN_IMAGE)
            else:
                assert (image.pixels == whole).all(), (seed, end - len(data))


def test_a_jpeg_without_its_end_may_have_zeros_behind_it() -> None:
    assert (decode_image(JPEG[:-2] + bytes(700)).pixels == decode_image(JPEG).pixels).all()


def test_a_reduced_jpeg_without_its_end() -> None:
    data = encoded(PICTURE.resize((1200, 900)), "JPEG")
    for options in ({"max_side_px": 100}, {"enough_side_px": 150}):
        assert (decode_image(data[:-2], **options).pixels == decode_image(data, **options).pixels).all()


@pytest.mark.parametrize(("format", "n_lost"), [("PNG", 12), ("GIF", 2)])
def test_other_photos_without_their_end(format: str, n_lost: int) -> None:
    data = encoded(PICTURE.quantize(64), format)
    assert (decode_image(data[:-n_lost]).pixels == decode_image(data).pixels).all()
    with pytest.raises(ImageRejected):
        decode_image(data[: len(data) // 2])


def test_only_what_has_something_to_leave_out_is_tried_again() -> None:
    bare = without_metadata(encoded(PICTURE, "JPEG", comment=b"x"))
    assert bare is not None and without_metadata(bare.data) is None
    for data in (encoded(PICTURE, "GIF"), PNG, WEBP, encoded(PICTURE, "AVIF"), b""):
        assert without_metadata(data) is None
    assert with_end(PNG) is None and with_end(b"\xff\xd8\xff\xda") is None
