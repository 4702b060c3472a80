"""The projection: unit vectors for any catalogue, whitened where it says so, the same bits every time."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from prodseek.embedding.facets import FACETS, FITTED_PARTS, VISUAL_DIM
from prodseek.embedding.moments import Moments
from prodseek.embedding.projection import Projection, fit_projection
from prodseek.errors import StoreError
from prodseek.slice_layout import SlicePart, slice_layout, slice_length

LAYOUT = slice_layout({"stride8": 128, "stride32": 1024})
SMALL_LAYOUT = slice_layout({"stride8": 3, "stride32": 4})


def slices(n_rows: int, seed: int = 0, layout: dict[str, SlicePart] = LAYOUT) -> NDArray[np.float16]:
    """Positive values, as after a rectifier, with a few strong directions."""
    rng = np.random.default_rng(seed)
    loadings = np.random.default_rng(99).normal(0, 1, (12, slice_length(layout)))
    rows = np.abs(rng.normal(0, 1, (n_rows, 12)) @ loadings + 0.3 * rng.normal(0, 1, (n_rows, loadings.shape[1])))
    return rows.astype(np.float16)


def fit(rows: NDArray[np.float16], layout: dict[str, SlicePart] = LAYOUT, shrinkage: float = 0.1) -> Projection:
    return fit_projection(Moments.empty(layout).add(rows), shrinkage)


@pytest.mark.parametrize("n_fitted", [1, 2, 3, 40, 300])
@pytest.mark.parametrize("layout", [LAYOUT, SMALL_LAYOUT], ids=["tiny", "narrow"])
def test_unit_vectors_for_a_catalogue_of_any_size(n_fitted: int, layout: dict[str, SlicePart]) -> None:
    rows = slices(n_fitted, layout=layout)
    projection = fit(rows, layout)

    for given_rows in (rows, slices(7, seed=1, layout=layout)):
        vectors = projection.apply(given_rows)
        assert tuple(vectors) == FACETS
        assert vectors["visual"].shape == (len(given_rows), VISUAL_DIM)
        for facet, values in vectors.items():
            assert values.dtype == np.float32
            assert values.shape == (len(given_rows), projection.dims[facet])
            np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1.0, atol=1e-5)


def test_equal_slices_everywhere() -> None:
    rows = np.repeat(slices(1), 5, axis=0)

    vectors = fit(rows).apply(rows)

    for values in vectors.values():
        np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1.0, atol=1e-5)
        np.testing.assert_array_equal(values, np.repeat(values[:1], 5, axis=0))


def test_slices_of_zeros_have_a_defined_vector() -> None:
    projection = fit(slices(50))

    vectors = projection.apply(np.zeros((2, slice_length(LAYOUT)), np.float16))

    for values in vectors.values():
        np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1.0, atol=1e-5)
        np.testing.assert_array_equal(values[0], values[1])


def test_full_whitening_gives_equal_variances() -> None:
    rows = slices(3000, layout=SMALL_LAYOUT)
    moments = Moments.empty(SMALL_LAYOUT).add(rows)
    part = fit_projection(moments, shrinkage=0.0).parts["texture"]
    mean, covariance = moments.mean_and_covariance("texture")

    spread = part.basis.T @ covariance @ part.basis

    n_axes = len(mean)
    diagonal = np.diag(spread)[:n_axes]
    np.testing.assert_allclose(spread, np.diag(np.diag(spread)), atol=1e-9)
    assert diagonal.max() <= 1.0 and diagonal[0] > 0.98
    assert not spread[n_axes:].any()


def test_more_shrinkage_whitens_less() -> None:
    moments = Moments.empty(LAYOUT).add(slices(400))

    def contrast(shrinkage: float) -> float:
        lengths = np.linalg.norm(fit_projection(moments, shrinkage).parts["mean"].basis, axis=0)
        return float(lengths[-1] / lengths[0])

    assert contrast(0.0) > contrast(0.5) > contrast(10.0) > 1.0


def test_explained_variance_is_a_share() -> None:
    explained = fit(slices(300)).explained_variance

    assert set(explained) == set(FITTED_PARTS)
    assert all(0.5 < share <= 1.0 for share in explained.values())


def test_alike_slices_are_alike() -> None:
    rows = slices(120)
    noise = np.random.default_rng(3).normal(0, 0.05, rows.shape)
    near = np.abs(rows.astype(np.float64) + noise).astype(np.float16)
    projection = fit(rows)

    similarity = projection.apply(rows)["visual"] @ projection.apply(near)["visual"].T

    assert (similarity.argmax(axis=1) == np.arange(len(rows))).all()


def test_the_same_rows_give_the_same_bits() -> None:
    rows = slices(90)
    whole = fit(rows)
    split = fit_projection(Moments.empty(LAYOUT).add(rows[50:]).merge(Moments.empty(LAYOUT).add(rows[:50])), 0.1)

    assert whole.to_bytes() == split.to_bytes()
    assert whole.projection_id == split.projection_id
    one_by_one = np.concatenate([whole.apply(rows[i : i + 1])["visual"] for i in range(len(rows))])
    np.testing.assert_allclose(one_by_one, whole.apply(rows)["visual"], atol=1e-6)


def test_the_id_follows_the_content() -> None:
    rows = slices(90)

    assert fit(rows).projection_id != fit(rows[:89]).projection_id
    assert fit(rows).projection_id != fit(rows, shrinkage=0.2).projection_id


def test_bytes_and_back() -> None:
    rows = slices(60)
    projection = fit(rows)

    again = Projection.from_bytes(projection.to_bytes())

    assert again.projection_id == projection.projection_id
    assert (again.layout, again.n_slices, again.shrinkage) == (LAYOUT, 60, 0.1)
    assert again.explained_variance == projection.explained_variance
    for facet, values in projection.apply(rows).items():
        np.testing.assert_array_equal(again.apply(rows)[facet], values)


@pytest.mark.parametrize("keep", [0, 10, 0.5, -1])
def test_damaged_bytes(keep: float) -> None:
    data = fit(slices(5)).to_bytes()
    cut = data[: int(keep) if keep in (0, 10, -1) else int(len(data) * keep)]

    with pytest.raises(StoreError, match=r"damaged.*fit it again"):
        Projection.from_bytes(cut)


def test_altered_bytes() -> None:
    data = bytearray(fit(slices(5)).to_bytes())
    data[len(data) // 2] ^= 0xFF

    with pytest.raises(StoreError, match="fit it again"):
        Projection.from_bytes(bytes(data))


def test_rows_that_are_not_finite_are_named() -> None:
    rows = slices(4)
    projection = fit(rows)
    rows[2, 0] = np.nan

    with pytest.raises(ValueError, match="rows 2"):
        projection.apply(rows)


def test_bad_fits_are_refused() -> None:
    with pytest.raises(ValueError, match="no slices"):
        fit_projection(Moments.empty(LAYOUT))
    with pytest.raises(ValueError, match="shrinkage is -1"):
        fit_projection(Moments.empty(LAYOUT).add(slices(3)), -1)
