import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_photos import pixels, textured_photo
from PIL import Image

from prodseek.duplicates import hashes as hashes_module
from prodseek.duplicates.hashes import (
    ORIENTATIONS,
    Orientation,
    best_orientation,
    dihedral_hashes,
    hamming,
    hashes_from_hex,
    pdq_pairs,
    turn,
)
from prodseek.photos.hashes import hash_to_hex, pdq_hash

T = Image.Transpose
PILLOW = {
    Orientation.IDENTITY: None,
    Orientation.ROTATE_90: T.ROTATE_90,
    Orientation.ROTATE_180: T.ROTATE_180,
    Orientation.ROTATE_270: T.ROTATE_270,
    Orientation.MIRROR: T.FLIP_LEFT_RIGHT,
    Orientation.FLIP: T.FLIP_TOP_BOTTOM,
    Orientation.TRANSPOSE: T.TRANSPOSE,
    Orientation.TRANSVERSE: T.TRANSVERSE,
}


def random_hashes(rng, n):
    return rng.integers(0, 256, (n, 32)).astype(np.uint8)


def flip_bits(packed, rng, count):
    bits = np.unpackbits(packed)
    bits[rng.choice(256, count, replace=False)] ^= 1
    return np.packbits(bits)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_turn_is_what_pillow_does(orientation):
    photo = textured_photo(1)
    expected = photo if PILLOW[orientation] is None else photo.transpose(PILLOW[orientation])
    np.testing.assert_array_equal(turn(pixels(photo), orientation), pixels(expected))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_dihedral_hashes_are_those_of_the_turned_photo(orientation, seed):
    photo = pixels(textured_photo(seed))
    truth = hashes_from_hex([pdq_hash(turn(photo, orientation))[0]])[0]
    slot = ORIENTATIONS.index(orientation)
    derived = dihedral_hashes(hashes_from_hex([pdq_hash(photo)[0]]))[0]
    assert hamming(derived[slot], truth) <= 34
    others = np.delete(derived, slot, axis=0)
    assert hamming(others, truth[None, :]).min() > 60


def test_hashes_survive_hex():
    packed = random_hashes(np.random.default_rng(0), 5)
    np.testing.assert_array_equal(hashes_from_hex([hash_to_hex(row) for row in packed]), packed)


@pytest.mark.parametrize("text", ["", "ff", "zz" * 32, "0" * 66])
def test_what_is_no_hash_is_named(text):
    with pytest.raises(ValueError, match="64 hex digits"):
        hashes_from_hex([text])


@settings(max_examples=40)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_hamming_counts_bits(a, b):
    expected = (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()
    assert hamming(np.frombuffer(a, np.uint8), np.frombuffer(b, np.uint8)) == expected


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_best_orientation_turns_a_into_b(orientation):
    photo = pixels(textured_photo(6))
    hash_a, hash_b = hashes_from_hex([pdq_hash(photo)[0], pdq_hash(turn(photo, orientation))[0]])
    found, bits = best_orientation(hash_a, hash_b)
    assert found == orientation and bits <= 34


def brute_force(hashes, max_hamming):
    expected = {}
    turned = dihedral_hashes(hashes)
    for a in range(len(hashes)):
        for b in range(a + 1, len(hashes)):
            distances = hamming(turned[a], hashes[b][None, :])
            if distances.min() <= max_hamming:
                expected[a, b] = (int(distances.argmin()), int(distances.min()))
    return expected


def as_dict(pairs):
    return {(a, b): (slot, bits) for a, b, slot, bits in zip(*(column.tolist() for column in pairs), strict=True)}


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(2, 40), st.sampled_from([0, 20, 60]))
def test_pairs_equal_brute_force(seed, n, max_hamming):
    rng = np.random.default_rng(seed)
    hashes = random_hashes(rng, n)
    for copy in range(n // 2):
        source = int(rng.integers(0, n))
        slot = int(rng.integers(0, 8))
        hashes[copy] = flip_bits(dihedral_hashes(hashes[source : source + 1])[0, slot], rng, int(rng.integers(0, 70)))
    found, expected = as_dict(pdq_pairs(hashes, max_hamming)), brute_force(hashes, max_hamming)
    assert found.keys() == expected.keys()
    assert {pair: bits for pair, (_, bits) in found.items()} == {pair: bits for pair, (_, bits) in expected.items()}
    for (a, b), (slot, bits) in found.items():
        assert hamming(dihedral_hashes(hashes[a : a + 1])[0, slot], hashes[b]) == bits


def test_the_table_for_many_hashes_finds_what_comparing_all_finds(monkeypatch):
    rng = np.random.default_rng(2)
    hashes = random_hashes(rng, 400)
    for i in range(60):
        hashes[399 - i] = flip_bits(dihedral_hashes(hashes[i : i + 1])[0, i % 8], rng, i % 32)
    expected = as_dict(pdq_pairs(hashes, 31))
    monkeypatch.setattr(hashes_module, "_COMPARE_ALL_BELOW", 10)
    assert len(expected) >= 60
    assert as_dict(pdq_pairs(hashes, 31)) == expected


def test_equal_hashes_give_a_linear_number_of_pairs_that_hold_together():
    n = 2000
    hashes = np.tile(random_hashes(np.random.default_rng(3), 1), (n, 1))
    pairs = pdq_pairs(hashes)
    assert len(pairs.row_a) < 30 * n
    assert set(pairs.row_b[pairs.row_a == 0].tolist()) == set(range(1, n))
    assert (pairs.hamming == 0).all()


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_photos_have_no_pairs(n):
    assert len(pdq_pairs(random_hashes(np.random.default_rng(0), n)).row_a) == 0
