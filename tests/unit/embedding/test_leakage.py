"""Location leakage: vectors whose knowledge of the place is planted."""

from __future__ import annotations

import numpy as np
import pytest

from prodseek.embedding.leakage import location_leakage

N_OBJECTS = 24
DIM = 40
PLACES = np.array([(x, y) for y in (0.2, 0.4, 0.6, 0.8) for x in (0.1, 0.3, 0.7, 0.9)])


def objects(seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Every object's own vector at every place with a little noise, the centres, and the objects' ids."""
    rng = np.random.default_rng(seed)
    own = np.repeat(rng.normal(size=(N_OBJECTS, DIM)), len(PLACES), axis=0)
    vectors = own + 0.05 * rng.normal(size=own.shape)
    return vectors, np.tile(PLACES, (N_OBJECTS, 1)), [f"object {i // len(PLACES)}" for i in range(len(own))]


def test_a_place_held_linearly_is_found() -> None:
    vectors, centres, ids = objects()
    directions = np.random.default_rng(1).normal(size=(2, DIM))

    assert location_leakage(vectors + 20 * centres @ directions, centres, ids) > 0.97


def test_one_axis_alone_is_half() -> None:
    vectors, centres, ids = objects()
    direction = np.random.default_rng(1).normal(size=DIM)

    found = location_leakage(vectors + 20 * centres[:, :1] * direction, centres, ids)

    assert found == pytest.approx(0.5, abs=0.03)


def test_no_place_is_not_found() -> None:
    vectors, centres, ids = objects()

    assert -0.05 < location_leakage(vectors, centres, ids) < 0.02


def test_knowing_the_object_is_not_knowing_the_place() -> None:
    """Every object stands near a place of its own, so that who knows the object knows the place."""
    vectors, centres, ids = objects()
    rng = np.random.default_rng(2)
    homes = np.repeat(rng.uniform(size=(N_OBJECTS, 2)), len(PLACES), axis=0)
    centres = homes + 0.02 * centres
    nearest = np.linalg.lstsq(vectors - vectors.mean(axis=0), homes - homes.mean(axis=0), rcond=None)[0]
    residual = homes - homes.mean(axis=0) - (vectors - vectors.mean(axis=0)) @ nearest
    assert 1 - residual.var() / homes.var() > 0.9  # fitted and asked on the same objects it would seem so

    assert location_leakage(vectors, centres, ids) < 0.1


def test_scale_shift_and_units_do_not_count() -> None:
    vectors, centres, ids = objects()
    vectors = vectors + centres @ np.random.default_rng(1).normal(size=(2, DIM))

    expected = location_leakage(vectors, centres, ids)

    assert location_leakage(1e-4 * vectors + 7, 416 * centres, ids) == pytest.approx(expected, abs=1e-6)


def test_vectors_all_alike_tell_nothing() -> None:
    vectors, centres, ids = objects()

    assert location_leakage(np.ones_like(vectors), centres, ids) == pytest.approx(0, abs=1e-9)


def test_more_values_than_rows() -> None:
    vectors, centres, ids = objects()
    long = vectors @ np.random.default_rng(1).normal(size=(DIM, 900)) / 30

    assert location_leakage(long, centres, ids) < 0.05


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v, c, i: (v, c[:, :1], i), "do not match"),
        (lambda v, c, i: (v, c, i[1:]), "do not match"),
        (lambda v, c, i: (np.where(v > 2, np.nan, v), c, i), "not finite"),
        (lambda v, c, i: (v[:64], c[:64], i[:64]), "there are 4 objects"),
        (lambda v, c, i: (v, c * (1, 0), i), "the same y"),
    ],
)
def test_what_cannot_be_measured_says_so(change, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        location_leakage(*change(*objects()))
