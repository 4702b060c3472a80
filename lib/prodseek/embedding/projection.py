"""The projection from slices to embeddings, fitted on the catalogue in closed form.

It keeps what tells the objects apart, and suppresses what changes when the same object is shown in another way.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodseek.embedding.agreement import agreement
from prodseek.embedding.facets import (
    COLOUR,
    COLOUR_FLOOR,
    COMPONENTS,
    SHAPE_WEIGHTS,
    VISUAL_COMPONENTS,
    VISUAL_DIM,
    Component,
    prepare,
    prepared_length,
    unit,
)
from prodseek.embedding.moments import Moments, check_slices
from prodseek.errors import StoreError
from prodseek.runs.columns import FACETS, VISUAL
from prodseek.runs.slice_layout import SlicePart, lay_out, layout_to_dict

__all__ = ["PROJECTION", "VISUAL_DIM", "Moments", "Projection", "fit_projection", "fit_recipe"]

PROJECTION = "projection.npz"  # the file in a run's folder
AGREEMENT_POWER = 4  # exponent of a component's agreement with the others in its weight
_FORMAT = 3
_MIN_NORM = 1e-9  # a vector shorter than this is rounding, not a direction

# Errors that numpy and zipfile raise on damaged archives.
_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    SyntaxError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class LinearMap:
    """The map (x - mean) @ basis. mean: (d,) float64. basis: (d, dim) float64.

    explained_variance: share of the component's variance that the basis spans, after suppressing nuisances, 0..1.
    """

    mean: NDArray[np.float64]
    basis: NDArray[np.float64]
    explained_variance: float


@dataclass(frozen=True)
class Projection:
    """A fitted map from slices of one layout to the vectors of all facets.

    maps: component -> its map. weights: component -> length of its vector in `visual`. rotation: (sum of the components' dims,
    VISUAL_DIM) float64 with orthonormal columns, or zero columns if there are fewer axes. n_slices, n_views: the numbers of
    slices and of views that it was fitted on.
    """

    layout: dict[str, SlicePart]
    n_slices: int
    n_views: int
    maps: dict[str, LinearMap]
    weights: dict[str, float]
    rotation: NDArray[np.float64]

    @property
    def projection_id(self) -> str:
        """16 hex digits of a hash over everything that decides the results of `apply`."""
        digest = hashlib.sha256(repr((fit_recipe(), layout_to_dict(self.layout), self.weights)).encode())
        for name in COMPONENTS:
            digest.update(np.ascontiguousarray(self.maps[name].mean).tobytes())
            digest.update(np.ascontiguousarray(self.maps[name].basis).tobytes())
        digest.update(np.ascontiguousarray(self.rotation).tobytes())
        return digest.hexdigest()[:16]

    @property
    def dims(self) -> dict[str, int]:
        """Facet -> length of its vectors."""
        return {
            VISUAL: VISUAL_DIM,
            COLOUR: prepared_length(COLOUR, self.layout),
            "texture": COMPONENTS["texture"].dim,
            "shape": sum(COMPONENTS[name].dim for name in SHAPE_WEIGHTS),
        }

    @property
    def explained_variance(self) -> dict[str, float]:
        """Component -> share of its variance that is kept, 0..1."""
        return {name: fitted.explained_variance for name, fitted in self.maps.items()}

    def apply(self, slices: NDArray[np.float16]) -> dict[str, NDArray[np.float32]]:
        """Compute the embeddings: facet -> (N, dim) float32, unit length.

        slices: (N, slice_length) float16. A vector without a direction (no colours, or exactly the catalogue's mean) becomes
        the first axis, so that every vector has unit length. Raises ValueError for rows that are not finite and names them.
        """
        check_slices(slices, self.layout)
        mapped = map_components(slices, self.layout, self.maps)
        vectors = {
            VISUAL: _with_direction(_joined(mapped, self.weights) @ self.rotation),
            # Inverse document frequency of colours (Spärck Jones, "A statistical interpretation of term specificity", 1972).
            COLOUR: _with_direction(
                prepare(COLOUR, slices, self.layout) / np.sqrt(self.maps[COLOUR].mean + COLOUR_FLOOR)
            ),
            "texture": mapped["texture"],
            "shape": _with_direction(_joined(mapped, SHAPE_WEIGHTS)),
        }
        return {facet: vectors[facet].astype(np.float32) for facet in FACETS}

    def to_bytes(self) -> bytes:
        """The content of an .npz file without pickles; equal projections give equal bytes."""
        lengths = layout_to_dict(self.layout)
        arrays: dict[str, NDArray[np.float64] | np.float64] = {}
        for name, fitted in self.maps.items():
            arrays[f"mean_{name}"] = fitted.mean
            arrays[f"basis_{name}"] = fitted.basis
            arrays[f"explained_variance_{name}"] = np.float64(fitted.explained_variance)
        for name, weight in self.weights.items():
            arrays[f"weight_{name}"] = np.float64(weight)
        buffer = io.BytesIO()
        np.savez(
            buffer,
            allow_pickle=False,
            format=np.int64(_FORMAT),
            projection_id=np.array(self.projection_id),
            n_slices=np.int64(self.n_slices),
            n_views=np.int64(self.n_views),
            part_names=np.array(list(lengths)),
            part_lengths=np.array(list(lengths.values()), np.int64),
            rotation=self.rotation,
            **arrays,
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Projection:
        """Read what `to_bytes` wrote. Raises StoreError if it is damaged, altered or of another format."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                if int(stored["format"]) != _FORMAT:
                    raise StoreError(
                        f"the projection is of format {int(stored['format'])}, expected {_FORMAT}; fit it again"
                    )
                lengths = zip(stored["part_names"], stored["part_lengths"], strict=True)
                found = cls(
                    lay_out({str(name): int(length) for name, length in lengths}),
                    int(stored["n_slices"]),
                    int(stored["n_views"]),
                    {
                        name: LinearMap(
                            stored[f"mean_{name}"],
                            stored[f"basis_{name}"],
                            float(stored[f"explained_variance_{name}"]),
                        )
                        for name in COMPONENTS
                    },
                    {name: float(stored[f"weight_{name}"]) for name in VISUAL_COMPONENTS},
                    stored["rotation"],
                )
                expected = str(stored["projection_id"])
        except _DAMAGED as error:
            raise StoreError(f"the projection is damaged: {error}; fit it again") from error
        if found.projection_id != expected:
            raise StoreError(
                f"the projection was altered: its content has the id {found.projection_id}, but it names "
                f"{expected}; fit it again"
            )
        return found


def fit_projection(moments: Moments, nuisances: Moments, sample: NDArray[np.float16]) -> Projection:
    """Fit the linear map of each component, then the components' weights in `visual`, and its axes.

    moments: of the catalogue's slices. nuisances: of the deviations of the objects' views (`Moments.add_views`); if they are
    empty, nothing is suppressed. sample: (N, slice_length) float16, slices of the catalogue that fit into memory; their
    nearest neighbours show how far the components agree. A component's weight is its `visual_weight` times its agreement to
    the power of AGREEMENT_POWER. Raises ValueError if there is no slice.
    """
    maps = {name: _fit_map(name, component, moments, nuisances) for name, component in COMPONENTS.items()}
    check_slices(sample, moments.layout)
    mapped = map_components(sample, moments.layout, maps)
    agreed = agreement({name: mapped[name] for name in VISUAL_COMPONENTS})
    # Rounded, so that the last bits of a matrix product do not change the projection.
    weights = {
        name: round(COMPONENTS[name].visual_weight * agreed[name] ** AGREEMENT_POWER, 3) for name in VISUAL_COMPONENTS
    }
    rotation = _leading_axes(_joined(mapped, weights), VISUAL_DIM)
    return Projection(moments.layout, moments.count, nuisances.count, maps, weights, rotation)


def fit_recipe() -> str:
    """Text that changes whenever this code would fit another projection to the same moments and sample."""
    return repr((_FORMAT, COMPONENTS, SHAPE_WEIGHTS, COLOUR_FLOOR, VISUAL_DIM, AGREEMENT_POWER))


def map_components(
    slices: NDArray[np.float16], layout: dict[str, SlicePart], maps: dict[str, LinearMap]
) -> dict[str, NDArray[np.float64]]:
    """Map slices, (N, slice_length) float16: component -> (N, dim) float64, unit length."""
    return {
        name: _with_direction((prepare(name, slices, layout) - fitted.mean) @ fitted.basis)
        for name, fitted in maps.items()
    }


def _fit_map(name: str, component: Component, moments: Moments, nuisances: Moments) -> LinearMap:
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
    return LinearMap(mean, basis, float(kept.sum()) / total if total > 0 else 1.0)


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


def _joined(mapped: dict[str, NDArray[np.float64]], weights: dict[str, float]) -> NDArray[np.float64]:
    return np.concatenate([weight * mapped[name] for name, weight in weights.items()], axis=1)


def _leading_axes(rows: NDArray[np.float64], dim: int) -> NDArray[np.float64]:
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


def _with_direction(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale rows to unit length; a row without a direction becomes the first axis."""
    empty = np.sqrt((values * values).sum(axis=1)) < _MIN_NORM
    first_axis = np.zeros(values.shape[1])
    first_axis[0] = 1.0
    directed: NDArray[np.float64] = np.where(empty[:, None], first_axis, unit(values))
    return directed
