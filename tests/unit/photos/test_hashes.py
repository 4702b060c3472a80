"""PDQ, held against its reference: `data/pdq.csv` is what the package pdqhash 0.2.8 makes of these pictures."""

import csv
from pathlib import Path

import numpy as np
import pytest

from prodseek.photos.decode import decode_image
from prodseek.photos.hashes import pdq_hash, pdq_hashes

DATA = Path(__file__).parents[2] / "data"
PHOTOS = DATA / "sample" / "images"
with (DATA / "pdq.csv").open(newline="") as handle:
    REFERENCE = {row["picture"]: (row["pdq_hash"], int(row["quality"])) for row in csv.DictReader(handle)}
WHITE, GREY, BLACK, BROWN = (255, 255, 255), (128, 128, 128), (0, 0, 0), (210, 140, 70)


def noise(height_px, width_px):
    rng = np.random.default_rng(height_px * width_px)
    return rng.integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)


def drawn(height_px, width_px, colour, light=lambda x, y: 1):
    """light: 0 to 1, of x and y from 0 to 1."""
    x, y = np.linspace(0, 1, width_px)[None, :, None], np.linspace(0, 1, height_px)[:, None, None]
    picture = np.broadcast_to(np.rint(light(x, y) * np.array(colour)), (height_px, width_px, 3))
    return picture.astype(np.uint8)


def across(x, y):
    return x


def down(x, y):
    return y


def both(x, y):
    return (x + 2 * y) / 3


def checks(x, y):
    return (x * 9 // 1 + y * 7 // 1) % 2


def stripes(x, y):
    return x * 9 // 1 % 2


def disc(x, y):
    return np.hypot(x - 0.5, y - 0.4) < 0.3


MADE = {
    "noise": noise(300, 400),
    "noise, 2500 x 1900 px": noise(2500, 1900),
    "noise, very wide": noise(40, 3000),
    "noise, very high": noise(3000, 40),
    "noise, 64 px": noise(64, 64),
    "noise, 5 px": noise(5, 5),
    "noise, 4 px high": noise(4, 600),
    "one row": noise(1, 600),
    "one pixel": noise(1, 1),
    "white": drawn(256, 256, WHITE),
    "grey": drawn(500, 700, GREY),
    "black": drawn(300, 300, BLACK),
    "brown": drawn(300, 300, BROWN),
    "brighter to the right": drawn(256, 256, WHITE, across),
    "brighter to the bottom": drawn(100, 100, WHITE, down),
    "brighter to a corner": drawn(300, 400, WHITE, both),
    "checks": drawn(348, 348, WHITE, checks),
    "brown checks": drawn(500, 700, BROWN, checks),
    "stripes": drawn(120, 100, WHITE, stripes),
    "a disc": drawn(348, 500, WHITE, disc),
}
# Many frequencies of these are 0, because they are symmetric, change in one direction alone or have 16 rows. The bits of such
# frequencies are rounding errors, which the reference makes in another order.
ROUNDED = {
    "a brown disc": drawn(1024, 800, BROWN, disc),
    "brighter to the right, 700 px": drawn(500, 700, WHITE, across),
    "brighter to the bottom, 348 px": drawn(348, 348, WHITE, down),
    "brown, very wide": drawn(16, 3000, BROWN),
    "noise, 16 px": noise(16, 16),
    "noise, 16 px high": noise(16, 3000),
}
SAMPLE = sorted(path.name for path in PHOTOS.glob("*.jpg") if path.name in REFERENCE)


def bits_apart(hex_a, hex_b):
    return (int(hex_a, 16) ^ int(hex_b, 16)).bit_count()


def test_every_good_photo_of_the_sample_has_a_reference():
    good = {path.name for path in PHOTOS.glob("*.jpg") if not path.name.startswith("bad-")}
    assert {*MADE, *ROUNDED, *good} == REFERENCE.keys()


@pytest.mark.parametrize("name", MADE)
def test_a_made_picture_has_pdq_s_own_hash_and_quality(name):
    expected, quality = REFERENCE[name]
    found, found_quality = pdq_hash(MADE[name])
    assert bits_apart(found, expected) <= 2 and found_quality == quality


@pytest.mark.parametrize("name", ROUNDED)
def test_where_bits_are_rounding_errors_the_quality_is_pdq_s_own(name):
    assert pdq_hash(ROUNDED[name])[1] == REFERENCE[name][1]


def test_the_sample_s_photos_have_pdq_s_own_hashes_and_qualities():
    apart, qualities = {}, {}
    for name in SAMPLE:
        found, qualities[name] = pdq_hash(decode_image((PHOTOS / name).read_bytes()).pixels)
        apart[name] = bits_apart(found, REFERENCE[name][0])
    assert len(SAMPLE) > 200
    assert {name: bits for name, bits in apart.items() if bits > 2} == {}
    assert qualities == {name: REFERENCE[name][1] for name in SAMPLE}


def test_photos_of_any_sizes_are_hashed_together_as_alone():
    photos = [*MADE.values(), *ROUNDED.values()]
    packed, quality = pdq_hashes(photos)
    assert [(row.tobytes().hex(), int(each)) for row, each in zip(packed, quality, strict=True)] == [
        pdq_hash(photo) for photo in photos
    ]


def test_no_photos_have_no_hashes():
    packed, quality = pdq_hashes([])
    assert packed.shape == (0, 32) and quality.shape == (0,)


def test_how_the_pixels_lie_in_memory_does_not_matter():
    photo = noise(90, 70)
    upside_down = np.ascontiguousarray(photo[::-1])
    assert pdq_hash(upside_down[::-1]) == pdq_hash(photo) != pdq_hash(upside_down)


@pytest.mark.parametrize("name", ["white", "grey", "black", "brown"])
def test_what_is_flat_has_no_quality(name):
    assert pdq_hash(MADE[name])[1] == 0
