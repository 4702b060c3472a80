"""Moments: the same however the rows are split, and those of the plain formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from prodseek.embedding.facets import COMPONENTS, prepare
from prodseek.embedding.moments import Moments
from prodseek.errors import StoreError
from prodseek.runs.slice_layout import slice_layout, slice_length

LAYOUT = slice_layout({"stride8": 5, "stride16": 6, "stride32": 7})


def slices(n_rows: int, seed: int = 0) -> NDArray[np.float16]:
    return np.random.default_rng(seed).gamma(1.0, 2.0, (n_rows, slice_length(LAYOUT))).astype(np.float16)


def assert_same(a: Moments, b: Moments) -> None:
    assert (a.layout, a.count) == (b.layout, b.count)
    for name in COMPONENTS:
        np.testing.assert_array_equal(a.sums[name], b.sums[name])
        np.testing.assert_array_equal(a.products[name], b.products[name])


def test_mean_and_covariance_are_those_of_the_rows() -> None:
    rows = slices(200)
    moments = Moments.empty(LAYOUT).add(rows)

    for name in COMPONENTS:
        prepared = prepare(name, rows, LAYOUT)
        mean, covariance = moments.mean_and_covariance(name)
        np.testing.assert_allclose(mean, prepared.mean(axis=0), atol=2e-5)
        np.testing.assert_allclose(covariance, np.cov(prepared.T, bias=True), atol=2e-5)


def test_views_count_only_as_they_deviate_from_their_object() -> None:
    rows = slices(3 * 20)

    moments = Moments.empty(LAYOUT).add_views(rows, 3)

    assert moments.count == 60
    for name in COMPONENTS:
        prepared = prepare(name, rows, LAYOUT).reshape(20, 3, -1)
        within = (prepared - prepared.mean(axis=1, keepdims=True)).reshape(60, -1)
        mean, covariance = moments.mean_and_covariance(name)
        np.testing.assert_allclose(mean, 0, atol=2e-5)
        np.testing.assert_allclose(covariance, within.T @ within / 60, atol=2e-5)


def test_objects_may_come_in_any_order() -> None:
    rows = slices(3 * 8)
    halves = [Moments.empty(LAYOUT).add_views(half, 3) for half in (rows[12:], rows[:12])]

    assert_same(halves[0].merge(halves[1]), Moments.empty(LAYOUT).add_views(rows, 3))


@pytest.mark.parametrize("n_views", [0, 4])
def test_views_that_are_not_whole_objects(n_views: int) -> None:
    with pytest.raises(ValueError, match=f"6 slices are not whole objects of {n_views} views"):
        Moments.empty(LAYOUT).add_views(slices(6), n_views)


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(0, 60), max_size=4), order=st.randoms(use_true_random=False))
def test_any_split_in_any_order_gives_the_same_bits(cuts: list[int], order: object) -> None:
    rows = slices(60)
    pieces = np.split(rows, sorted(cuts))
    order.shuffle(pieces)  # type: ignore[attr-defined]

    merged = Moments.empty(LAYOUT)
    for piece in pieces:
        merged = merged.merge(Moments.empty(LAYOUT).add(piece))

    assert_same(merged, Moments.empty(LAYOUT).add(rows))


def test_values_do_not_change() -> None:
    empty = Moments.empty(LAYOUT)
    empty.add(slices(3))
    empty.merge(Moments.empty(LAYOUT).add(slices(2)))

    assert empty.count == 0
    assert all(not values.any() for values in empty.sums.values())


def test_bytes_and_back() -> None:
    moments = Moments.empty(LAYOUT).add(slices(9))

    assert_same(Moments.from_bytes(moments.to_bytes()), moments)


@pytest.mark.parametrize("data", [b"", b"not an archive", b"PK\x03\x04 cut off"])
def test_damaged_bytes(data: bytes) -> None:
    with pytest.raises(StoreError, match="damaged"):
        Moments.from_bytes(data)


def test_truncated_bytes() -> None:
    data = Moments.empty(LAYOUT).add(slices(2)).to_bytes()

    with pytest.raises(StoreError, match="damaged"):
        Moments.from_bytes(data[: len(data) // 2])


def test_rows_that_are_not_finite_are_named() -> None:
    rows = slices(5)
    rows[1, 3] = np.nan
    rows[4, 0] = np.inf

    with pytest.raises(ValueError, match=r"2 of 5 slices.*rows 1, 4"):
        Moments.empty(LAYOUT).add(rows)


def test_other_layouts_are_refused() -> None:
    other = slice_layout({"stride8": 5, "stride16": 6, "stride32": 8})

    with pytest.raises(ValueError, match="different layouts"):
        Moments.empty(LAYOUT).merge(Moments.empty(other))
    with pytest.raises(ValueError, match="expected \\(N, "):
        Moments.empty(other).add(slices(2))
