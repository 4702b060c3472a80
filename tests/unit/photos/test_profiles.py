"""Photos of every colour profile come out in the colours of sRGB, and say what they were converted from."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from icc_profiles import PRIMARIES, cmyk_profile, grey_profile, printed, rgb_profile
from judged_pair import judged_pair
from made_photos import scene, textured_photo
from PIL import Image, ImageCms

from prodseek.duplicates.guards import is_proved
from prodseek.duplicates.measuring import evidence_of_files
from prodseek.photos import profiles
from prodseek.photos.colour import ciede2000, rgb_to_lab
from prodseek.photos.decode import decode_image
from prodseek.photos.profiles import ColourProfile
from prodseek.photos.repair import MAX_PROFILE_BYTES
from prodseek.runs.tables import table_schema

WIDE = sorted(PRIMARIES.keys() - {"srgb"})
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def in_colours_of(image: Image.Image, icc_profile: bytes) -> Image.Image:
    """The same picture as a file of another profile stores it."""
    stored = ImageCms.profileToProfile(image, SRGB, io.BytesIO(icc_profile))
    assert stored is not None
    stored.info.clear()
    return stored


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """The 99th percentile of CIEDE2000."""
    return float(np.percentile(ciede2000(rgb_to_lab(a), rgb_to_lab(b)), 99))


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "JPEG"])
@pytest.mark.parametrize("name", WIDE)
def test_a_photo_of_a_wide_profile_has_the_colours_of_its_srgb_copy(name: str, format: str) -> None:
    picture = textured_photo(3)
    profile = rgb_profile(name)
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 97, "subsampling": 0}}.get(format, {})
    data = encoded(in_colours_of(picture, profile), format, icc_profile=profile, **options)
    image = decode_image(data)
    assert image.colour_profile == name
    assert difference(image.pixels, np.asarray(picture)) < (2.5 if format == "JPEG" else 1.5)
    ignored = decode_image(encoded(in_colours_of(picture, profile), "PNG"))
    assert ignored.colour_profile == ColourProfile.NONE
    assert np.abs(ignored.pixels.astype(int) - image.pixels).max() > 8


@pytest.mark.parametrize("name", ["display_p3", "adobe_rgb", "prophoto_rgb"])
def test_nothing_differs_between_a_photo_and_its_own_srgb_copy(name: str) -> None:
    picture, profile = scene(5, 640, 480), rgb_profile(name)
    wide = encoded(in_colours_of(picture, profile), "JPEG", quality=95, icc_profile=profile)
    copy = encoded(picture, "JPEG", quality=90)
    judgement, _ = judged_pair(wide, copy)
    # Proved; how sure the trees are of a drawn scene is another matter.
    assert judgement is not None and judgement.confidence > 0.9
    proof = evidence_of_files(wide, copy).proof
    assert proof is not None and is_proved(proof.values())
    bare, _ = judged_pair(
        encoded(in_colours_of(picture, profile), "JPEG", quality=95), encoded(picture, "JPEG", quality=90)
    )
    assert bare is None or bare.decision != "copy"


def test_a_printed_photo_and_its_own_srgb_copy_are_copies() -> None:
    inks = encoded(scene(6, 640, 480).convert("CMYK"), "JPEG", quality=95, icc_profile=cmyk_profile())
    copy = encoded(Image.fromarray(decode_image(inks).pixels), "JPEG", quality=90)
    judgement, _ = judged_pair(inks, copy)
    assert judgement is not None and judgement.decision == "copy"
    # Without the profile the inks look like those of a screen.
    bare, _ = judged_pair(encoded(scene(6, 640, 480).convert("CMYK"), "JPEG", quality=95), copy)
    assert bare is None or bare.decision != "copy"


def test_an_srgb_profile_changes_no_byte() -> None:
    picture = textured_photo(4)
    without = decode_image(encoded(picture, "JPEG", quality=90))
    for profile in (rgb_profile("srgb"), SRGB.tobytes()):
        image = decode_image(encoded(picture, "JPEG", quality=90, icc_profile=profile))
        assert image.colour_profile == ColourProfile.SRGB
        assert (image.pixels == without.pixels).all()
    grey = decode_image(encoded(picture.convert("L"), "PNG", icc_profile=rgb_profile("srgb")))
    assert grey.colour_profile == ColourProfile.SRGB
    assert (grey.pixels == np.asarray(picture.convert("L").convert("RGB"))).all()


@pytest.mark.parametrize("format", ["TIFF", "JPEG"])
def test_inks_look_as_they_are_printed(format: str) -> None:
    amounts = np.random.default_rng(2).choice([0, 64, 128, 191, 255], (12, 16, 4)).astype(np.uint8)
    photo = Image.fromarray(amounts, "CMYK").resize((16 * 24, 12 * 24), Image.Resampling.NEAREST)
    options = {"quality": 98, "subsampling": 0} if format == "JPEG" else {}
    image = decode_image(encoded(photo, format, icc_profile=cmyk_profile(), **options))
    assert image.colour_profile == ColourProfile.CMYK
    paper = np.rint(255 * printed(amounts.reshape(-1, 4) / 255)).astype(np.uint8)
    centres = image.pixels[12::24, 12::24].reshape(-1, 3)
    # In the darkest colours the press's black, which is a dark grey, becomes the black of the screen.
    is_light = paper.mean(axis=1) > 110
    assert difference(centres[is_light], paper[is_light]) < 3.5
    naive = decode_image(encoded(photo, format, **options))
    assert naive.colour_profile == ColourProfile.NONE
    assert difference(naive.pixels[12::24, 12::24].reshape(-1, 3)[is_light], paper[is_light]) > 10


@pytest.mark.parametrize(("gamma", "level"), [(1.0, 188), (1.8, 146), (2.2, 128)])
def test_grey_of_another_curve(gamma: float, level: int) -> None:
    for mode in ("L", "LA"):
        photo = Image.new("L", (40, 40), 128)
        photo.paste(255, (0, 0, 40, 20))
        if mode == "LA":
            photo.putalpha(200)
        image = decode_image(encoded(photo, "PNG", icc_profile=grey_profile(gamma)))
        assert image.colour_profile == ColourProfile.GREY
        assert (image.pixels[:10] == 255).all() and (image.pixels == image.pixels[..., :1]).all()
        if mode == "L":
            assert abs(int(image.pixels[30, 30, 0]) - level) <= 1
        else:
            assert image.alpha is not None and (image.alpha == 200).all()


def test_grey_of_16_bits_and_its_curve() -> None:
    deep = np.full((40, 40), 32896, np.uint16)
    deep[:20] = 65535
    image = decode_image(encoded(Image.fromarray(deep), "PNG", icc_profile=grey_profile(1.0)))
    assert image.colour_profile == ColourProfile.GREY and abs(int(image.pixels[30, 30, 0]) - 188) <= 1


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_transparent_photos_are_converted_before_they_stand_on_white(mode: str) -> None:
    profile = rgb_profile("adobe_rgb")
    photo = Image.new("RGBA", (60, 40), (20, 180, 60, 255))
    photo.paste((0, 0, 0, 0), (0, 0, 60, 20))
    if mode == "P":
        photo = photo.quantize(4)
    image = decode_image(encoded(photo, "PNG", icc_profile=profile))
    opaque = decode_image(encoded(Image.new("RGB", (60, 40), (20, 180, 60)), "PNG", icc_profile=profile))
    assert (image.pixels[:20] == 255).all() and image.alpha is not None and not image.alpha[:20].any()
    assert (image.pixels[20:] == opaque.pixels[20:]).all() and opaque.pixels[30, 30, 0] < 15


def test_reduced_photos_have_the_same_colours() -> None:
    profile = rgb_profile("display_p3")
    photo = Image.new("RGB", (1200, 800), (200, 90, 30))
    for format in ("JPEG", "PNG"):
        data = encoded(photo, format, icc_profile=profile)
        full = decode_image(data).pixels[0, 0].astype(int)
        for options in ({"max_side_px": 100}, {"enough_side_px": 150}):
            reduced = decode_image(data, **options)
            assert reduced.colour_profile == ColourProfile.DISPLAY_P3
            assert np.abs(reduced.pixels[5, 5] - full).max() <= 2


def with_matrix(value: float) -> bytes:
    """A profile in which every colour becomes the same."""
    profile = bytearray(rgb_profile("display_p3"))
    for tag in (b"rXYZ", b"gXYZ", b"bXYZ"):
        at = struct.unpack(">I", profile[(place := profile.index(tag) + 4) : place + 4])[0]
        profile[at + 8 : at + 20] = struct.pack(">3i", *(int(65536 * value),) * 3)
    return bytes(profile)


@pytest.mark.parametrize(
    ("profile", "mode"),
    [
        (b"x", "RGB"),
        (b"x" * 200_000, "RGB"),
        (rgb_profile("display_p3")[:300], "RGB"),
        (rgb_profile("display_p3")[:128], "RGB"),
        (rgb_profile("display_p3").replace(b"rXYZ", b"xXYZ", 1), "RGB"),
        (rgb_profile("display_p3").replace(b"mntr", b"link", 1), "RGB"),
        (with_matrix(0.0), "RGB"),
        (cmyk_profile(), "RGB"),
        (grey_profile(2.2), "RGB"),
        (rgb_profile("display_p3"), "CMYK"),
        (cmyk_profile()[:-3000], "CMYK"),
        (cmyk_profile(), "L"),
    ],
)
def test_a_profile_that_cannot_be_used_changes_nothing(profile: bytes, mode: str) -> None:
    photo = textured_photo(6).convert(mode)
    image = decode_image(encoded(photo, "JPEG", icc_profile=profile))
    assert image.colour_profile == ColourProfile.UNUSABLE
    assert (image.pixels == decode_image(encoded(photo, "JPEG")).pixels).all()


def test_a_profile_of_any_length_costs_no_more_than_its_bytes() -> None:
    photo = textured_photo(6, 60, 48)
    long = rgb_profile("display_p3") + bytes(MAX_PROFILE_BYTES)
    before = len(profiles._remembered.kept)
    image = decode_image(encoded(photo, "TIFF", icc_profile=long))
    assert image.colour_profile == ColourProfile.UNUSABLE and (image.pixels == np.asarray(photo)).all()
    assert len(profiles._remembered.kept) == before
    for number in range(60):  # a profile for each photo, as some cameras write it
        own = rgb_profile("display_p3").replace(b"none", b"%04d" % number, 1)
        assert decode_image(encoded(photo, "PNG", icc_profile=own)).colour_profile == ColourProfile.DISPLAY_P3
    assert profiles._remembered.n_bytes <= profiles._MAX_REMEMBERED_BYTES


def test_the_closed_list_is_the_schemas() -> None:
    (column,) = (column for column in table_schema("images").columns if column.name == "colour_profile")
    assert column.allowed == tuple(ColourProfile)
