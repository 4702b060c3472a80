"""The projection: unit vectors for any catalogue, whitened where it says so, the same bits every time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from prodseek.embedding.facets import COMPONENTS, SHAPE_WEIGHTS, VISUAL_COMPONENTS, VISUAL_DIM
from prodseek.embedding.moments import Moments
from prodseek.embedding.projection import Projection
from prodseek.embedding.projection_fit import Measured, fit_projection
from prodseek.embedding.view_kinds import Kinds, KindSums, ViewKind
from prodseek.errors import StoreError
from prodseek.runs.columns import FACETS
from prodseek.runs.slice_layout import SlicePart, slice_layout, slice_length

LAYOUT = slice_layout({"stride8": 128, "stride16": 256, "stride32": 1024})
SMALL_LAYOUT = slice_layout({"stride8": 3, "stride16": 5, "stride32": 4})


def slices(n_rows: int, seed: int = 0, layout: dict[str, SlicePart] = LAYOUT) -> NDArray[np.float16]:
    """Positive values, as after a rectifier, with a few strong directions."""
    rng = np.random.default_rng(seed)
    loadings = np.random.default_rng(99).normal(0, 1, (12, slice_length(layout)))
    rows = np.abs(rng.normal(0, 1, (n_rows, 12)) @ loadings + 0.3 * rng.normal(0, 1, (n_rows, loadings.shape[1])))
    return rows.astype(np.float16)


def fit(
    rows: NDArray[np.float16], layout: dict[str, SlicePart] = LAYOUT, views: NDArray[np.float16] | None = None
) -> Projection:
    """views: pairs of rows that show one object."""
    nuisances = Moments.empty(layout)
    if views is not None:
        nuisances = nuisances.add_views(views, 2)
    return fit_projection(Measured.of_packshots(rows, nuisances))


def packshots(rows: NDArray[np.float16]) -> Kinds:
    return np.full(len(rows), ViewKind.PACKSHOT, np.int8)


def pairs(n_objects: int, layout: dict[str, SlicePart] = LAYOUT) -> NDArray[np.float16]:
    """Objects seen twice: the second time one strong direction has changed, and everything a little."""
    rng = np.random.default_rng(17)
    seen = slices(n_objects, seed=5, layout=layout).astype(np.float64)
    direction = np.abs(np.random.default_rng(18).normal(0, 3, seen.shape[1]))
    again = seen + np.abs(rng.normal(0, 1, (n_objects, 1))) * direction + rng.uniform(0, 0.1, seen.shape)
    return np.stack((seen, again), axis=1).reshape(2 * n_objects, -1).astype(np.float16)


@pytest.mark.parametrize("n_fitted", [1, 2, 3, 40, 300])
@pytest.mark.parametrize("layout", [LAYOUT, SMALL_LAYOUT], ids=["tiny", "narrow"])
def test_unit_vectors_for_a_catalogue_of_any_size(n_fitted: int, layout: dict[str, SlicePart]) -> None:
    rows = slices(n_fitted, layout=layout)
    projection = fit(rows, layout)

    for given_rows in (rows, slices(7, seed=1, layout=layout)):
        vectors = projection.apply(given_rows, packshots(given_rows))
        assert tuple(vectors) == FACETS
        assert vectors["visual"].shape == (len(given_rows), VISUAL_DIM)
        for facet, values in vectors.items():
            assert values.dtype == np.float32
            assert values.shape == (len(given_rows), projection.dims[facet])
            np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1.0, atol=1e-5)


def test_equal_slices_everywhere() -> None:
    rows = np.repeat(slices(1), 5, axis=0)

    vectors = fit(rows).apply(rows, packshots(rows))

    for values in vectors.values():
        np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1.0, atol=1e-5)
        np.testing.assert_allclose(values, np.repeat(values[:1], 5, axis=0), atol=1e-6)


def test_slices_of_zeros_have_a_defined_vector() -> None:
    projection = fit(slices(50))

    vectors = projection.apply(np.zeros((2, slice_length(LAYOUT)), np.float16), np.zeros(2, np.int8))

    for values in vectors.values():
        np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1.0, atol=1e-5)
        np.testing.assert_array_equal(values[0], values[1])


def test_nuisances_count_less_in_every_component() -> None:
    rows, views = slices(300), pairs(60)
    plain, fitted = fit(rows), fit(rows, views=views)
    unseen = pairs(100)[120:]

    def drift(projection: Projection, facet: str) -> float:
        vectors = projection.apply(unseen, packshots(unseen))[facet].reshape(-1, 2, projection.dims[facet])
        return float(1 - (vectors[:, 0] * vectors[:, 1]).sum(axis=1).mean())

    for facet in ("visual", "texture", "shape"):
        assert drift(fitted, facet) < 0.7 * drift(plain, facet)


def test_suppressed_axes_are_those_that_views_change() -> None:
    rows, views = slices(3000, layout=SMALL_LAYOUT), pairs(200, SMALL_LAYOUT)
    nuisances = Moments.empty(SMALL_LAYOUT).add_views(views, 2)
    covariance = nuisances.mean_and_covariance("grid")[1]
    basis = fit_projection(Measured.of_packshots(rows, nuisances)).maps["grid"].basis
    values, axes = np.linalg.eigh(covariance)

    gains = np.linalg.norm(axes.T @ basis, axis=1)

    assert values[-1] > 5 * values[:-1].max(), "the planted nuisance must stand out"
    assert gains[-1] < 0.75 * gains[:-1].min()


def test_no_nuisances_is_a_plain_rotation() -> None:
    rows = slices(200, layout=SMALL_LAYOUT)

    basis = fit(rows, SMALL_LAYOUT).maps["grid"].basis

    length = SMALL_LAYOUT["grid"].length
    np.testing.assert_allclose(basis[:, :length].T @ basis[:, :length], np.eye(length), atol=1e-9)


def test_a_component_that_no_other_confirms_has_little_weight() -> None:
    rows = slices(400)
    random_colours = rows.copy()
    span = LAYOUT["colour"].span
    random_colours[:, span] = np.random.default_rng(1).permutation(rows[:, span])

    assert fit(random_colours).weights["colour"] < 0.5 * fit(rows).weights["colour"]


def test_the_rotation_keeps_cosines_as_far_as_it_can() -> None:
    rows = slices(200)
    projection = fit(rows)
    axes = projection.rotation

    assert axes.shape == (sum(COMPONENTS[name].dim for name in VISUAL_COMPONENTS), VISUAL_DIM)
    np.testing.assert_allclose(axes.T @ axes, np.eye(VISUAL_DIM), atol=1e-9)


def test_explained_variance_is_a_share() -> None:
    explained = fit(slices(300)).explained_variance

    assert set(explained) == set(COMPONENTS)
    assert all(0.5 < share <= 1.0 for share in explained.values())


def test_alike_slices_are_alike() -> None:
    rows = slices(120)
    noise = np.random.default_rng(3).normal(0, 0.05, rows.shape)
    near = np.abs(rows.astype(np.float64) + noise).astype(np.float16)
    projection = fit(rows)

    similarity = projection.apply(rows, packshots(rows))["visual"] @ projection.apply(near, packshots(near))["visual"].T

    assert (similarity.argmax(axis=1) == np.arange(len(rows))).all()


def test_the_same_rows_give_the_same_bits() -> None:
    rows = slices(90)
    whole = fit(rows)
    one = Measured.of_packshots(rows, Moments.empty(LAYOUT))
    halves = [Measured.of_packshots(part, Moments.empty(LAYOUT)) for part in (rows[50:], rows[:50])]
    moments, kinds = (getattr(halves[0], name).merge(getattr(halves[1], name)) for name in ("moments", "kinds"))
    split = fit_projection(replace(one, moments=moments, kinds=kinds))

    assert whole.to_bytes() == split.to_bytes()
    assert whole.projection_id == split.projection_id
    one_by_one = np.concatenate(
        [whole.apply(rows[i : i + 1], packshots(rows[i : i + 1]))["visual"] for i in range(len(rows))]
    )
    np.testing.assert_allclose(one_by_one, whole.apply(rows, packshots(rows))["visual"], atol=1e-6)


def test_the_id_follows_the_content() -> None:
    rows = slices(90)

    assert fit(rows).projection_id != fit(rows[:89]).projection_id
    assert fit(rows).projection_id != fit(rows, views=pairs(5)).projection_id


def test_bytes_and_back() -> None:
    rows = slices(60)
    projection = fit(rows, views=pairs(5))

    again = Projection.from_bytes(projection.to_bytes())

    assert again.projection_id == projection.projection_id
    assert (again.layout, again.n_slices, again.n_views) == (LAYOUT, 60, 10)
    assert again.weights == projection.weights
    assert again.explained_variance == projection.explained_variance
    for facet, values in projection.apply(rows, packshots(rows)).items():
        np.testing.assert_array_equal(again.apply(rows, packshots(rows))[facet], values)


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
        projection.apply(rows, packshots(rows))


def test_a_fit_on_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no slices"):
        fit_projection(Measured.of_packshots(slices(0), Moments.empty(LAYOUT)))


def test_a_colour_that_all_have_does_not_outweigh_the_one_that_tells_apart() -> None:
    span, rng = LAYOUT["colour"].span, np.random.default_rng(4)
    common, rare, other = (span.start + index for index in (3, 40, 90))
    rows = slices(200)
    rows[:, span] = 0
    rows[:, common] = 0.7  # all show much of it, and a little of one colour of their own
    rows[np.arange(200), span.start + rng.integers(5, 140, 200)] += np.float16(0.3)
    query, more_of_it, another = np.zeros((3, rows.shape[1]), np.float16)
    query[[common, rare]] = 0.7, 0.3
    more_of_it[[common, rare]] = 0.4, 0.6
    another[[common, other]] = 0.7, 0.3

    vectors = fit(rows).apply(np.stack((query, more_of_it, another)), np.zeros(3, np.int8))["colour"]

    assert vectors[0] @ vectors[1] > 0.8 > 0.6 > vectors[0] @ vectors[2]


def test_shape_joins_outline_and_layout_and_knows_no_colour() -> None:
    rows = slices(100)
    projection, recoloured = fit(rows), rows.copy()
    recoloured[:, LAYOUT["colour"].span] = rows[::-1, LAYOUT["colour"].span]

    vectors = projection.apply(rows, packshots(rows))["shape"]

    np.testing.assert_array_equal(projection.apply(recoloured, packshots(recoloured))["shape"], vectors)
    for name in SHAPE_WEIGHTS:
        changed = rows.copy()
        changed[:, LAYOUT[name].span] = rows[::-1, LAYOUT[name].span]
        assert (projection.apply(changed, packshots(changed))["shape"] != vectors).any()


def test_the_ground_of_a_scene_does_not_decide_over_likeness() -> None:
    """The same objects before a plain ground and in scenes, whose ground adds the same to all slices."""
    rows = slices(300)
    ground = np.abs(np.random.default_rng(8).normal(0, 8, rows.shape[1]))
    in_scenes = (rows.astype(np.float64) + ground).astype(np.float16)
    kinds = np.repeat(np.array([ViewKind.PACKSHOT, ViewKind.OBJECT_IN_SCENE], np.int8), 150)
    shown = np.concatenate([rows[:150], in_scenes[150:]])
    measured = Measured.of_packshots(shown, Moments.empty(LAYOUT))
    told = fit_projection(replace(measured, kinds=KindSums.empty(LAYOUT).add(shown, kinds), sample_kinds=kinds))
    untold = fit_projection(measured)

    def found(projection: Projection, asked_as: ViewKind) -> float:
        asked = projection.apply(in_scenes[:150], np.full(150, asked_as, np.int8))["likeness"]
        gallery = projection.apply(shown, kinds if projection is told else packshots(shown))["likeness"]
        return float(((asked @ gallery.T).argmax(axis=1) == np.arange(150)).mean())

    assert found(told, ViewKind.OBJECT_IN_SCENE) > 0.95 > 0.5 > found(untold, ViewKind.PACKSHOT)
