"""Fitting a projection to a catalogue, in closed form.

It keeps what tells the objects apart, and suppresses what changes when the same object is shown in another way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodseek.embedding.agreement import things_of
from prodseek.embedding.confidence import InScenes, fit_confidence
from prodseek.embedding.departments import agreed_weights, fit_departments
from prodseek.embedding.facets import (
    COLOUR,
    COMPONENTS,
    LIKENESS_DIM,
    VISUAL_DIM,
    Component,
    prepared_length,
)
from prodseek.embedding.moments import Moments, check_slices
from prodseek.embedding.projection import (
    LIKENESS_LENGTHS,
    LinearMap,
    Projection,
    joined,
    map_components,
    with_direction,
)
from prodseek.embedding.view_kinds import Kinds, KindSums, ViewKind


@dataclass(frozen=True)
class Measured:
    """What a projection is fitted to.

    moments: of the catalogue's primary regions. kinds: sums by ViewKind, of all regions. nuisances: moments of the deviations
    of the objects' views (`Moments.add_views`); if they are empty, nothing is suppressed. in_scenes: objects pasted into
    scenes. sample: (N, slice_length) float16, slices of primary regions that fit into memory; sample_kinds: (N,) int8.
    sample_products: (N,) int64, hashes of product ids.
    """

    moments: Moments
    kinds: KindSums
    nuisances: Moments
    in_scenes: InScenes
    sample: NDArray[np.float16]
    sample_kinds: Kinds
    sample_products: NDArray[np.int64]

    @classmethod
    def of_packshots(cls, slices: NDArray[np.float16], nuisances: Moments) -> Measured:
        """Of packshots alone, without scenes. slices: (N, slice_length) float16."""
        kinds = np.full(len(slices), ViewKind.PACKSHOT, np.int8)
        moments = Moments.empty(nuisances.layout).add(slices)
        sums = KindSums.empty(nuisances.layout).add(slices, kinds)
        return cls(moments, sums, nuisances, InScenes.empty(slices.shape[1]), slices, kinds, np.arange(len(slices)))


def fit_projection(measured: Measured) -> Projection:
    """Fit the linear map of each component, then the axes of `visual` and `likeness`, and how sure a likeness makes.

    In `visual`, which asks for the same kind of thing, a component's weight is its `visual_weight` times its agreement to the
    power of AGREEMENT_POWER, by department: nearest neighbours of the sample show how far components agree. In `likeness`, which
    asks for the same thing, weights are LIKENESS_WEIGHTS. Raises ValueError if there is no slice.
    """
    moments, layout = measured.moments, measured.moments.layout
    seen = measured.in_scenes
    objects = np.full(len(seen.views), ViewKind.OBJECT_IN_SCENE, np.int8)
    kinds = measured.kinds.add(seen.views, objects)
    maps = {
        name: _fit_map(name, component, moments, kinds, measured.nuisances) for name, component in COMPONENTS.items()
    }
    check_slices(measured.sample, layout)
    mapped = map_components(measured.sample, measured.sample_kinds, layout, maps)
    things = things_of(measured.sample_products)
    departments = fit_departments(mapped, things)
    likeness_rotation = leading_axes(joined(mapped, LIKENESS_LENGTHS), LIKENESS_DIM)

    def likeness(slices: NDArray[np.float16], of_kinds: Kinds) -> NDArray[np.float64]:
        seen_as = map_components(slices, of_kinds, layout, maps)
        return with_direction(joined(seen_as, LIKENESS_LENGTHS) @ likeness_rotation)

    is_other = ~np.isin(_row_keys(measured.sample), _row_keys(seen.objects))
    others = likeness(measured.sample[is_other], measured.sample_kinds[is_other])
    gallery = np.concatenate([likeness(seen.objects, seen.kinds), others])
    products = np.concatenate([seen.products, measured.sample_products[is_other]])
    scene_views = likeness(seen.views, objects)
    return Projection(
        layout,
        moments.count,
        measured.nuisances.count,
        maps,
        agreed_weights(mapped, things),
        departments,
        leading_axes(joined(mapped, departments.weights_of(mapped)), VISUAL_DIM),
        likeness_rotation,
        moments.mean_and_covariance(COLOUR)[0],
        scene_views,
        fit_confidence(scene_views, gallery, products),
    )


def _fit_map(name: str, component: Component, moments: Moments, kinds: KindSums, nuisances: Moments) -> LinearMap:
    """Linear discriminant analysis in which the views of an object are a class.

    The space is whitened by the nuisances' covariance, its eigenvalues shrunk towards their mean. The axes are the leading
    eigenvectors of the catalogue's covariance in that space. An axis with eigenvalue v is divided by v ** (power / 2).

    Sources: Fisher, "The use of multiple measurements in taxonomic problems", 1936; Belhumeur et al., "Eigenfaces vs.
    Fisherfaces", 1997, section 2.4.
    """
    mean, covariance = moments.mean_and_covariance(name)
    suppress = _suppression(component, nuisances, name)
    values, axes = np.linalg.eigh(suppress @ covariance @ suppress)
    values = np.maximum(values[::-1], 0.0)
    axes = axes[:, ::-1]
    total = float(values.sum())
    n_axes = min(component.dim, len(values))
    kept, axes = values[:n_axes], axes[:, :n_axes]
    # The eigenvalues of a small sample are unreliable, so they are shrunk too, by axes / slices.
    shrunk = kept + n_axes / moments.count * kept.mean()
    basis = np.zeros((len(mean), component.dim))
    basis[:, :n_axes] = suppress @ _signed(axes) / (shrunk if total > 0 else np.ones(n_axes)) ** (component.power / 2)
    return LinearMap(kinds.means(name, mean), basis, float(kept.sum()) / total if total > 0 else 1.0)


def _suppression(component: Component, nuisances: Moments, name: str) -> NDArray[np.float64]:
    """The symmetric (d, d) matrix that makes all nuisances equally small; the identity if none were measured."""
    if nuisances.count < 2:
        return np.eye(prepared_length(name, nuisances.layout))
    values, axes = np.linalg.eigh(nuisances.mean_and_covariance(name)[1])
    values = np.maximum(values, 0.0)
    mean = float(values.mean())
    if mean <= 0:
        return np.eye(len(values))
    # Relative to the mean, so that the strength of the changes in the views does not scale the embedding.
    suppress: NDArray[np.float64] = (axes / np.sqrt(values / mean + component.shrinkage)) @ axes.T
    return suppress


def _row_keys(slices: NDArray[np.float16]) -> NDArray[np.bytes_]:
    """(N,): the bytes of each row."""
    return np.ascontiguousarray(slices).view(f"S{2 * slices.shape[1]}").ravel()


def leading_axes(rows: NDArray[np.float64], dim: int) -> NDArray[np.float64]:
    """(columns, dim): the directions that keep most of the rows' length. The rows are not centred, so cosines are kept."""
    axes = np.linalg.eigh(rows.T @ rows)[1][:, ::-1][:, :dim]
    basis = np.zeros((rows.shape[1], dim))
    basis[:, : axes.shape[1]] = _signed(axes)
    return basis


def _signed(axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make the largest value of each eigenvector positive, because its sign is undefined."""
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]
    signed: NDArray[np.float64] = axes * np.where(largest < 0, -1.0, 1.0)
    return signed
