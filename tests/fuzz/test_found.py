"""What the fuzz targets have found, each fault as small as it was found."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from prodseek.images import ImageRejected, decode_image


def picture(kind: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((64, 48)).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (picture("AVIF").replace(b"pitm\0\0\0\0\0\1", b"pitm\0\0\0\0\0\7"), "corrupt"),  # RuntimeError when opened
        (picture("AVIF")[:-20] + bytes(20), "corrupt"),  # RuntimeError when decoded
        (
            b"DDS " + picture("DDS")[5:],
            "unsupported_format",
        ),  # NotImplementedError, of a format that is not read at all
    ],
)
def test_damaged_photos_are_rejected(data: bytes, reason: str) -> None:
    with pytest.raises(ImageRejected) as rejected:
        decode_image(data)
    assert rejected.value.reason == reason


def test_a_jpeg_of_thousands_of_empty_scans_is_not_decoded() -> None:
    photo = picture("JPEG", progressive=True)
    scan = photo[photo.rindex(b"\xff\xda") :][:10] + b"\0"
    for n_scans, is_read in ((200, True), (1000, False)):
        data = photo[:-2] + scan * n_scans + photo[-2:]
        if is_read:
            assert decode_image(data).width_px == 64
        else:
            with pytest.raises(ImageRejected, match="more than 256 scans"):
                decode_image(data)
